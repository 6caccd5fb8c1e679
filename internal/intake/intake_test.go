package intake

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
)

// result is everything Read gave, in a form that reads well in a diff.
type result struct {
	Rows []deal.Record
	Have []string // the present fields of each row
	Errs []string
	Err  string
}

func readAll(t *testing.T, text string, kind deal.RecordKind, format string, opts ...Option) result {
	t.Helper()
	var out result
	err := Read(strings.NewReader(text), kind, format, func(row Row, bad *RowError) bool {
		if bad != nil {
			out.Errs = append(out.Errs, bad.Error())
			return true
		}
		var have []string
		for _, f := range schemas[kind].fields {
			if row.Present[f.name] {
				have = append(have, f.name)
			}
		}
		out.Rows = append(out.Rows, row.Record)
		out.Have = append(out.Have, fmt.Sprintf("%d: %s", row.Line, strings.Join(have, " ")))
		return true
	}, opts...)
	if err != nil {
		out.Err = err.Error()
	}
	return out
}

func account(id, name string) *deal.Account { return &deal.Account{ID: id, Name: name} }

var compareDecimals = cmp.Comparer(func(a, b decimal.Decimal) bool { return a.Equal(b) })

func TestForms(t *testing.T) {
	two := []deal.Record{account("A1", "Müller & Söhne"), account("A2", "Beta")}
	for _, c := range []struct{ name, text string }{
		{"comma", "id,name\nA1,Müller & Söhne\nA2,Beta\n"},
		{"no final line break", "id,name\nA1,Müller & Söhne\nA2,Beta"},
		{"CRLF", "id,name\r\nA1,Müller & Söhne\r\nA2,Beta\r\n"},
		{"semicolon", "id;name\nA1;Müller & Söhne\nA2;Beta\n"},
		{"tab", "id\tname\nA1\tMüller & Söhne\nA2\tBeta\n"},
		{"UTF-8 byte order mark", "\ufeffid,name\nA1,Müller & Söhne\nA2,Beta\n"},
		{"UTF-16 little endian", utf16Text(binary.LittleEndian, "id\tname\r\nA1\tMüller & Söhne\r\nA2\tBeta\r\n")},
		{"UTF-16 big endian", utf16Text(binary.BigEndian, "id\tname\r\nA1\tMüller & Söhne\r\nA2\tBeta\r\n")},
		{"quoted", "\"id\",\"name\"\n\"A1\",\"Müller & Söhne\"\n\"A2\",\"Beta\"\n"},
		{"quoted header with other delimiters in it", "\"id\";\"name\";\"a,b,c,d\"\nA1;Müller & Söhne;\nA2;Beta;x\n"},
		{"headers in any dress", "Account.ID,N_A-ME\nA1,Müller & Söhne\nA2,Beta\n"},
		{"columns in any order, unknown ones ignored", "colour,name,id\nred,Müller & Söhne,A1\n,Beta,A2\n"},
		{"blank lines and rows", "\n\nid,name\n\nA1,Müller & Söhne\n,\nA2,Beta\n\n"},
		{"blank cells after the last column", "id,name\nA1,Müller & Söhne,,\nA2,Beta\n"},
		{"spaces around cells", "id , name\n A1 ,\tMüller & Söhne \nA2,Beta\n"},
		{"NDJSON", `{"id":"A1","name":"Müller & Söhne"}` + "\n" + `{"id":"A2","name":"Beta"}`},
		{"NDJSON with blank lines, CRLF and a mark", "\ufeff\r\n" + `{"id":"A1","name":"M\u00fcller & Söhne"}` + "\r\n\r\n" + ` {"name":"Beta", "id":"A2"} ` + "\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := readAll(t, c.text, deal.Accounts, "auto")
			if diff := cmp.Diff(result{Rows: two}, result{Rows: got.Rows, Errs: got.Errs, Err: got.Err}); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func utf16Text(order binary.AppendByteOrder, s string) string {
	b := order.AppendUint16(nil, 0xfeff)
	for _, u := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

func TestCells(t *testing.T) {
	for _, c := range []struct {
		name string
		kind deal.RecordKind
		text string
		want deal.Record
		have string
	}{
		{
			"every account field", deal.Accounts,
			"id,name,aliases,domain,domains,website,country,region,city,postal_code,street,phone,tax_id,duns,lei,parent_id,industry,employees,annual_revenue,status,owner,named\n" +
				"A1,Acme,Acme Co; AC ME;,ACME.com,acme.de;acme.fr,https://acme.com,us,ca,San José,95110,\"1 Main St\nFloor \"\"2\"\"\",+1 555,12-3,123456789,LEI1,A0,energy,1.2E+04,3.00E+07,Customer,P1,yes\n",
			&deal.Account{
				ID: "A1", Name: "Acme", Aliases: []string{"Acme Co", "AC ME"}, Domain: "acme.com", Domains: []string{"acme.de", "acme.fr"},
				Website: "https://acme.com", Country: "US", Region: "US-CA", City: "San José", PostalCode: "95110", Street: "1 Main St\nFloor \"2\"",
				Phone: "+1 555", TaxID: "12-3", DUNS: "123456789", LEI: "LEI1", ParentID: "A0", Industry: "energy", Employees: 12000,
				AnnualRevenue: "30000000", Status: "customer", Owner: "P1", Named: true,
			},
			"2: id name aliases domain domains website country region city postal_code street phone tax_id duns lei parent_id industry employees annual_revenue status owner named",
		},
		{
			"Salesforce Data Loader", deal.Accounts,
			"ID,ISDELETED,NAME,TYPE,PARENTID,BILLINGSTREET,BILLINGCITY,BILLINGSTATE,BILLINGPOSTALCODE,BILLINGCOUNTRY,PHONE,WEBSITE,INDUSTRY,ANNUALREVENUE,NUMBEROFEMPLOYEES,OWNERID,DUNSNUMBER\n" +
				"\"0015g00000XyZabAAB\",\"false\",\"Grand Hotels\",\"Customer - Direct\",\"\",\"2334 N. Michigan\nSuite 1500\",\"Chicago\",\"Illinois\",\"60601\",\"United States\",\"(312) 596-1000\",\"www.grand.com\",\"Hospitality\",\"5.0E8\",\"5600.0\",\"0055g0\",\"\"\n",
			&deal.Account{
				ID: "0015g00000XyZabAAB", Name: "Grand Hotels", Status: "customer", Street: "2334 N. Michigan\nSuite 1500", City: "Chicago",
				Region: "US-IL", PostalCode: "60601", Country: "US", Phone: "(312) 596-1000", Website: "www.grand.com", Industry: "Hospitality",
				AnnualRevenue: "500000000", Employees: 5600, Owner: "0055g0",
			},
			"2: id name website country region city postal_code street phone industry employees annual_revenue status owner",
		},
		{
			"HubSpot labels", deal.Accounts,
			"Record ID,Company name,Company Domain Name,Street Address,City,State/Region,Postal Code,Country/Region,Industry,Number of Employees,Annual Revenue,Company owner,Lifecycle Stage,Additional Domains\n" +
				"901,Nordwind,nordwind.de,Kai 1,Hamburg,Hamburg,20457,Germany,LOGISTICS,120,9000000,Ada,Customer,nordwind.eu;nordwind.com\n",
			&deal.Account{
				ID: "901", Name: "Nordwind", Domain: "nordwind.de", Domains: []string{"nordwind.eu", "nordwind.com"}, Street: "Kai 1", City: "Hamburg",
				Region: "DE-HH", PostalCode: "20457", Country: "DE", Industry: "LOGISTICS", Employees: 120, AnnualRevenue: "9000000", Status: "customer", Owner: "Ada",
			},
			"2: id name domain domains country region city postal_code street industry employees annual_revenue status owner",
		},
		{
			"HubSpot internal names", deal.Accounts, "hs_object_id,name,domain,zip,state,country,numberofemployees\n901,Nordwind,nordwind.de,20457,,Deutschland,\n",
			&deal.Account{ID: "901", Name: "Nordwind", Domain: "nordwind.de", PostalCode: "20457", Country: "DE"}, "2: id name domain country postal_code",
		},
		{
			"the better of two columns, or the other where it is blank", deal.Accounts, "Id,Name,BillingCountry,BillingCountryCode\n1,X,Germany,AT\n",
			&deal.Account{ID: "1", Name: "X", Country: "AT"}, "2: id name country",
		},
		{
			"opportunity", deal.Opportunities,
			"id,account_id,account_name,name,stage,status,amount,currency,close_date,created_at,last_activity_at,led_by,partner_id,owner,lines\n" +
				"O1,A1,Acme,Firewalls,qualify,open,1250.50,eur,2026-12-31,2026-01-31T23:30:00.000+0000,2026-01-31T00:30:00+02:00,partner,P-1,u-1,network;security\n",
			&deal.Opportunity{
				ID: "O1", AccountID: "A1", AccountName: "Acme", Name: "Firewalls", Stage: "qualify", Status: "open", Amount: money("1250.50", "EUR"),
				CloseDate: day("2026-12-31"), CreatedAt: day("2026-01-31"), LastActivityAt: day("2026-01-30"), LedBy: "partner", PartnerID: "P-1",
				Owner: "u-1", Lines: []string{"network", "security"},
			},
			"2: id account_id account_name name stage status amount close_date created_at last_activity_at led_by partner_id owner lines",
		},
		{
			"Salesforce opportunity won", deal.Opportunities, "Id,AccountId,Name,StageName,Amount,CurrencyIsoCode,CloseDate,IsClosed,IsWon,CreatedDate\n006,001,Deal,Signed,3.00E+07,USD,2026-01-31T00:00:00Z,true,true,2025-11-02T08:00:00.000Z\n",
			&deal.Opportunity{
				ID: "006", AccountID: "001", Name: "Deal", Stage: "Signed", Status: "won", Amount: money("30000000", "USD"), CloseDate: day("2026-01-31"),
				CreatedAt: day("2025-11-02"),
			},
			"2: id account_id name stage status amount close_date created_at",
		},
		{
			"Salesforce opportunity lost", deal.Opportunities, "Id,AccountId,IsClosed,IsWon\n006,001,true,false\n",
			&deal.Opportunity{ID: "006", AccountID: "001", Status: "lost"}, "2: id account_id status",
		},
		{
			"HubSpot deal", deal.Opportunities, "Record ID,Deal Name,Deal Stage,Amount,Currency,Close Date,Associated Company IDs,Deal owner\n77,Deal,Closed Lost,10,USD,2026-01-31,901;902,Ada\n",
			&deal.Opportunity{ID: "77", Name: "Deal", Stage: "Closed Lost", Status: "lost", Amount: money("10", "USD"), CloseDate: day("2026-01-31"), AccountID: "901", Owner: "Ada"},
			"2: id account_id name stage status amount close_date owner",
		},
		{
			"a currency without an amount says nothing", deal.Opportunities, "id,account_id,amount,currency\nO1,A1,,USD\n",
			&deal.Opportunity{ID: "O1", AccountID: "A1"}, "2: id account_id",
		},
		{
			"partner", deal.Partners,
			"id,name,type,tier,status,country,countries,lines,distributor_id,domain,agreement_signed_at,trained_staff,credit_hold\n" +
				"P-1,Alpen IT,VAR,gold,active,ch,CH;Austria,network,D-1,Alpen.ch,2024-05-01,12,0\n",
			&deal.Partner{
				ID: "P-1", Name: "Alpen IT", Type: "var", Tier: "gold", Status: "active", Country: "CH", Countries: []string{"CH", "AT"},
				Lines: []string{"network"}, DistributorID: "D-1", Domain: "alpen.ch", AgreementSignedAt: day("2024-05-01"), TrainedStaff: 12,
			},
			"2: id name type tier status country countries lines distributor_id domain agreement_signed_at trained_staff credit_hold",
		},
		{
			"person", deal.People, "id,name,email,roles,queues,authority,authority_currency,manager,away_until\nu-1,Ada,ada@example.com,ops;POLICY,deal-desk;renewals,250000,EUR,u-0,2026-12-01\n",
			&deal.Person{
				ID: "u-1", Name: "Ada", Email: "ada@example.com", Roles: []string{"ops", "policy"}, Queues: []string{"deal-desk", "renewals"},
				Authority: money("250000", "EUR"), Manager: "u-0", AwayUntil: day("2026-12-01"),
			},
			"2: id name email roles queues authority manager away_until",
		},
		{"product", deal.Products, "sku,line,class,core\nFW-1,firewall,hardware,TRUE\n", &deal.CatalogueProduct{SKU: "FW-1", Line: "firewall", Class: "hardware", Core: true}, "2: sku line class core"},
		{"rate", deal.Rates, "date,from,to,rate\n2026-01-01,usd,eur,0.92\n", &deal.Rate{Date: day("2026-01-01"), From: "USD", To: "EUR", Rate: "0.92"}, "2: date from to rate"},
		{
			"an empty JSON value is given, an absent one is not", deal.Accounts, `{"id":"A1","name":"X","domain":"","aliases":null}`,
			&deal.Account{ID: "A1", Name: "X"}, "1: id name aliases domain",
		},
		{
			"JSON opportunity", deal.Opportunities, `{"id":"O1","account_id":"A1","amount":{"value":"12.50","currency":"EUR"},"close_date":"2026-01-31","lines":["a","b"]}`,
			&deal.Opportunity{ID: "O1", AccountID: "A1", Amount: money("12.50", "EUR"), CloseDate: day("2026-01-31"), Lines: []string{"a", "b"}},
			"1: id account_id amount close_date lines",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := readAll(t, c.text, c.kind, "auto")
			if diff := cmp.Diff(result{Rows: []deal.Record{c.want}, Have: []string{c.have}}, got, compareDecimals); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func money(v, c string) deal.Money {
	return deal.Money{Value: decimal.RequireFromString(v), Currency: c}
}

func day(s string) deal.Date {
	d, err := deal.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

// TestBadRows: a broken row is told by line and field, and the rows around it are read.
func TestBadRows(t *testing.T) {
	long := strings.Repeat("x", MaxRow+10)
	for _, c := range []struct {
		name string
		kind deal.RecordKind
		text string
		errs []string // substrings, in order
		ids  string   // of the good rows, with their lines
	}{
		{"a cell too few, a cell too many", deal.Accounts, "id,name,city\nA1,X,Y\nA2,X\nA3,X,Y,Z\nA4,X,Y\n", []string{"line 3: row: has 2 cells where the header has 3", "line 4: row: has 4 cells"}, "2:A1 5:A4"},
		{"no id", deal.Accounts, "id,name\n,X\nA2,Y\n", []string{"line 2: id: is required"}, "3:A2"},
		{"a number", deal.Accounts, "id,name,employees,annual_revenue\nA1,X,many,1\nA2,X,\"1,200\",\nA3,X,12.5,\nA4,X,-3,\nA5,X,,1e999999999\nA6,X,9.3E18,\nA7,X,5,5\n",
			[]string{"line 2: employees: \"many\" is not a whole number", "line 3: employees", "line 4: employees", "line 5: employees: must not be negative", "line 6: annual_revenue", "line 7: employees"}, "8:A7"},
		{"a date of two readings", deal.Opportunities, "id,account_id,close_date\nO1,A1,1/2/2026\nO2,A1,31.01.2026\nO3,A1,2026-02-30\nO4,A1,2026-02-28\n",
			[]string{"line 2: close_date: \"1/2/2026\" is not a date", "line 3: close_date", "line 4: close_date"}, "5:O4"},
		{"a truth value", deal.Accounts, "id,name,named\nA1,X,maybe\nA2,X,No\n", []string{"line 2: named: \"maybe\" is not true or false"}, "3:A2"},
		{"a country", deal.Accounts, "id,name,country\nA1,X,Atlantis\nA2,X,deu\nA3,X,QZ\n", []string{`line 2: country: "ATLANTIS" is not an ISO 3166-1`, "line 4: country"}, "3:A2"},
		{"a status", deal.Accounts, "id,name,status\nA1,X,nice\nA2,X,PROSPECT\n", []string{`line 2: status: "nice" is not one of prospect`}, "3:A2"},
		{"several fields at once", deal.Accounts, "id,name,status,employees\nA1,X,nice,many\n", []string{`line 2: employees: "many" is not a whole number such as 12000 or 1.2E+04, without thousands separators; status: "nice"`}, ""},
		{"an amount without a currency", deal.Opportunities, "id,account_id,amount,currency\nO1,A1,5,\nO2,A1,5,EURO\nO3,A1,x,\nO4,A1,-1,EUR\nO5,A1,5,EUR\n",
			[]string{"line 2: amount.currency: is required with an amount", "line 3: amount.currency: \"EURO\"", "line 4: amount: \"x\"", "line 5: amount.value: must not be negative"}, "6:O5"},
		{"invalid UTF-8", deal.Accounts, "id,name,city\nA1,M\xfcller,X\nA2,Y,Z\n", []string{"line 2: name: is not valid UTF-8"}, "3:A2"},
		{"broken UTF-16", deal.Accounts, utf16Text(binary.LittleEndian, "id,name\nA1,X") + "\x00\xd8" + utf16Text(binary.LittleEndian, "\nA2,Y\n")[2:], []string{"line 2: name: holds a damaged UTF-16 character"}, "3:A2"},
		{"text after a closing quote", deal.Accounts, "id,name\nA1,\"X\" y\nA2,\"Y\" \nA3,Joe \"Z\" Co\n", []string{"line 2: row: has text after the closing quote of cell 2"}, "3:A2 4:A3"},
		{"a quote never closed costs its own row", deal.Accounts, "id,name\nA1,\"X\nA2,Y\nA3,Z\n", []string{"line 2: row: has a quote in cell 2 that is never closed"}, "3:A2 4:A3"},
		{"a quote not closed within the limit", deal.Accounts, "id,name,note\nA1,\"X,\nA2,Y,\n#,Y," + long[:MaxRow-10] + "\nA3,Z,\n" + strings.Repeat("A4,Z,\n", 3), []string{"line 2: row: has a quote in cell 2 that is not closed within"}, "3:A2 4:# 5:A3 6:A4 7:A4 8:A4"},
		{"a line over the limit", deal.Products, "sku,line\n" + long + "\nS2,y\n" + long, []string{"line 2: row: is longer than", "line 4: row: is longer than"}, "3:S2"},
		{"lines after quoted line breaks", deal.Accounts, "id,name,street\nA1,X,\"a\nb\r\nc\"\nA2,X\nA3,X,d\n", []string{"line 5: row"}, "2:A1 6:A3"},
		{"NDJSON: a field we do not know", deal.Accounts, `{"id":"A1","name":"X","colour":"red"}` + "\n" + `{"id":"A2","name":"X"}`, []string{"line 1: colour: is not a field; known are aliases"}, "2:A2"},
		{"NDJSON: a field by its case", deal.Accounts, `{"id":"A1","Name":"X"}`, []string{"line 1: Name: is not a field"}, ""},
		{"NDJSON: a nested field we do not know", deal.Opportunities, `{"id":"O1","account_id":"A","amount":{"value":"1","currency":"EUR","vat":1}}`, []string{`line 1: amount: has an unknown field "vat"`}, ""},
		{"NDJSON: a type", deal.Accounts, `{"id":"A1","name":7,"employees":"many","named":"yes","aliases":"x"}`, []string{"line 1: name: is a JSON number where a string is expected; employees: is a JSON string where a number is expected; named: is a JSON string where true or false is expected; aliases: is a JSON string where an array is expected"}, ""},
		{"NDJSON: a field twice", deal.Accounts, `{"id":"A1","name":"X","name":"Y"}`, []string{"line 1: name: is given twice"}, ""},
		{"NDJSON: not JSON", deal.Accounts, "{\"id\":\"A1\"\n{\"id\":\"A2\",\"name\":\"X\"}\nhello\n[1]\n{\"id\":}\n{\"id\":\"A3\"} {\"id\":\"A4\"}\n", []string{"line 1: row: is not a whole JSON object", "line 3: row: is not a JSON object", "line 4: row: is not a JSON object", "line 5: row: is not JSON", "line 6: row: has something after its JSON object"}, "2:A2"},
		{"NDJSON: invalid UTF-8", deal.Accounts, "{\"id\":\"A1\",\"name\":\"M\xfcller\"}\n{\"id\":\"A2\",\"name\":\"X\",\"\xfc\":1}\n", []string{"line 1: name: is not valid UTF-8", "line 2: \uFFFD: is not a field"}, ""},
		{"NDJSON: a line over the limit", deal.Accounts, `{"id":"A1","name":"` + long + "\"}\n{\"id\":\"A2\",\"name\":\"X\"}\n", []string{"line 1: row: is longer than"}, "2:A2"},
		{"NDJSON: a date", deal.Opportunities, `{"id":"O1","account_id":"A","close_date":"1/2/2026"}`, []string{`line 1: close_date: "1/2/2026" is not a date as YYYY-MM-DD`}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var ids, errs []string
			err := Read(strings.NewReader(c.text), c.kind, "auto", func(row Row, bad *RowError) bool {
				if bad != nil {
					errs = append(errs, bad.Error())
				} else {
					ids = append(ids, fmt.Sprintf("%d:%s", row.Line, row.Record.Key()))
				}
				return true
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(ids, " "); got != c.ids {
				t.Errorf("good rows: %s, want %s", got, c.ids)
			}
			if len(errs) != len(c.errs) {
				t.Fatalf("%d errors, want %d: %q", len(errs), len(c.errs), errs)
			}
			for i := range errs {
				if !strings.Contains(errs[i], c.errs[i]) {
					t.Errorf("error %d is %q, want %q in it", i, errs[i], c.errs[i])
				}
			}
		})
	}
}

// TestBadFiles: a file that cannot be understood as a whole is an error that says what would make it readable.
func TestBadFiles(t *testing.T) {
	for _, c := range []struct{ name, kind, format, text, want string }{
		{"empty", "accounts", "auto", "", "the file is empty: its first line must name the columns id, name"},
		{"blank", "accounts", "csv", "\n \n", "the file is empty"},
		{"no required column", "accounts", "auto", "key,city\n1,2\n", `line 1: the header has no column id, no column name; it has ["key" "city"], known are id, name, aliases`},
		{"neither of two", "opportunities", "auto", "id,name\n", "no column account_id or account_name"},
		{"a column twice", "accounts", "auto", "id,name,Post Code,post-code\n", `the columns "Post Code" and "post-code" are the same`},
		{"a broken header", "accounts", "auto", "\"id,name\n1,2", "line 1: has a quote in cell 1 that is never closed"},
		{"an array", "accounts", "auto", `[{"id":"A1"}]`, "this is a JSON array; send NDJSON"},
		{"a format", "accounts", "xml", "<a/>", `format "xml" is not one of auto, csv, ndjson`},
		{"a kind", "parties", "auto", "", `"parties" is not a kind of record`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := readAll(t, c.text, deal.RecordKind(c.kind), c.format)
			if !strings.Contains(got.Err, c.want) || len(got.Rows)+len(got.Errs) > 0 {
				t.Errorf("got %+v, want the error %q", got, c.want)
			}
		})
	}
	broken := errors.New("the disk is gone")
	for _, text := range []string{"", "id", "id,name\nA1,X\n", "id,name\nA1,\"X", `{"id":`} {
		err := Read(io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)), deal.Accounts, "auto", func(_ Row, bad *RowError) bool {
			if bad != nil {
				t.Errorf("%q: a failing reader was taken for a bad row: %v", text, bad)
			}
			return true
		})
		if !errors.Is(err, broken) {
			t.Errorf("%q: error is %v, want the reader's", text, err)
		}
	}
}

func TestHeader(t *testing.T) {
	var got []Header
	note := OnHeader(func(h Header) { got = append(got, h) })
	readAll(t, "Record ID;Company name;Favourite colour;;Website URL\n1;X;red;;x.com\n", deal.Accounts, "auto", note)
	readAll(t, `{"id":"A1","name":"X"}`, deal.Accounts, "auto", note)
	want := []Header{
		{Format: "csv", Delimiter: ';', Columns: map[string]string{"Record ID": "id", "Company name": "name", "Website URL": "website"}, Ignored: []string{"Favourite colour"}},
		{Format: "ndjson"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestDefaultCurrency(t *testing.T) {
	got := readAll(t, "id,account_id,amount\nO1,A1,5\nO2,A1,\n", deal.Opportunities, "auto", DefaultCurrency("usd"))
	want := []deal.Record{&deal.Opportunity{ID: "O1", AccountID: "A1", Amount: money("5", "USD")}, &deal.Opportunity{ID: "O2", AccountID: "A1"}}
	if diff := cmp.Diff(result{Rows: want, Have: []string{"2: id account_id amount", "3: id account_id"}}, got, compareDecimals); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestStopsWhenTold(t *testing.T) {
	for _, text := range []string{"id,name\nA1,X\nA2,Y\n", "id,name\n,X\nA2,Y\n", "id,name\nA1,\"X\nA2,Y\n", "{\"id\":\"A1\",\"name\":\"X\"}\n{}\n", "{\n{}\n"} {
		n := 0
		if err := Read(strings.NewReader(text), deal.Accounts, "auto", func(Row, *RowError) bool { n++; return false }); err != nil || n != 1 {
			t.Errorf("%q: %d calls, error %v", text, n, err)
		}
	}
}

func TestMerge(t *testing.T) {
	stored := &deal.Account{ID: "A1", Name: "Acme", City: "Bonn", Employees: 5, Named: true, Aliases: []string{"x"}}
	for _, c := range []struct {
		name, text string
		want       *deal.Account
	}{
		{"a blank cell leaves the field", "id,name,city,employees\nA1,,Köln,\n", &deal.Account{ID: "A1", Name: "Acme", City: "Köln", Employees: 5, Named: true, Aliases: []string{"x"}}},
		{"an explicit value counts, also the zero one", "id,name,employees,named\nA1,,0,false\n", &deal.Account{ID: "A1", Name: "Acme", City: "Bonn", Aliases: []string{"x"}}},
		{"NDJSON can clear", `{"id":"A1","city":"","aliases":[]}`, &deal.Account{ID: "A1", Name: "Acme", Employees: 5, Named: true, Aliases: []string{}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := *stored
			err := Read(strings.NewReader(c.text), deal.Accounts, "auto", func(row Row, bad *RowError) bool {
				if bad != nil {
					t.Fatal(bad)
				}
				if diff := cmp.Diff(deal.Record(c.want), Merge(stored, row.Record, row.Present)); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				if Merge(nil, row.Record, row.Present) != row.Record {
					t.Error("without a stored record the row is the result")
				}
				return true
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&before, stored); diff != "" {
				t.Errorf("the stored record was changed:\n%s", diff)
			}
		})
	}
}

// TestEveryField: each field of a record's JSON form can be read and merged, so that a new one is not forgotten.
func TestEveryField(t *testing.T) {
	types := map[*schema]reflect.Type{registrations: nil}
	for _, kind := range deal.RecordKinds {
		types[schemas[kind]] = reflect.TypeOf(deal.NewRecord(kind)).Elem()
	}
	for s, typ := range types {
		if len(s.fields) > 64 {
			t.Errorf("%d fields do not fit the set of present ones", len(s.fields))
		}
		if typ == nil {
			continue
		}
		if reflect.TypeOf(s.empty()).Elem() != typ {
			t.Errorf("the schema of %v makes %T", typ, s.empty())
		}
		want := map[string]bool{}
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			want[name] = true
		}
		for _, f := range s.fields {
			if f.copy != nil && (!want[f.name] || f.cell == nil || f.json == nil) {
				t.Errorf("%v: the field %q cannot be read, or is none", typ, f.name)
			}
			if f.copy != nil {
				delete(want, f.name)
			}
		}
		if len(want) > 0 {
			t.Errorf("%v: no way to read %v", typ, want)
		}
	}
	filing := reflect.TypeFor[deal.Filing]()
	for i := range filing.NumField() {
		if name, _, _ := strings.Cut(filing.Field(i).Tag.Get("json"), ","); registrations.fields[registrations.byName[name]].name != name {
			t.Errorf("registrations: no way to read %s of a filing", name)
		}
	}
}

func TestRegistrations(t *testing.T) {
	flat := "Number,Partner ID,Distributor ID,Type,Status,Customer Name,Customer Account ID,Customer Domain,Customer Country,Customer Region,Lines,Amount,Currency,Received At,Protected From,Protected Until,Expected Close Date,External ID,Contact Email\n" +
		"DR-7,P-1,D-1,,Protected,Siemens Energy AG,A1,siemens-energy.com,Germany,Bavaria,network;firewall,120000.00,EUR,2025-03-01T08:00:00Z,,2025-06-01,2025-05-01,portal-1,a@b.de\n"
	oneLine := `{"number":"DR-7","partner_id":"P-1","distributor_id":"D-1","status":"protected","customer_name":"Siemens Energy AG","customer_account_id":"A1","customer_domain":"siemens-energy.com","customer_country":"DE","customer_region":"DE-BY","lines":["network","firewall"],"amount":120000.00,"currency":"EUR","received_at":"2025-03-01T08:00:00Z","protected_until":"2025-06-01","expected_close_date":"2025-05-01","external_id":"portal-1","contact_email":"a@b.de","description":null}`
	nestedForm := `{"number":"DR-7","partner_id":"P-1","distributor_id":"D-1","type":"new_business","status":"protected","customer":{"name":"Siemens Energy AG","account_id":"A1","domain":"siemens-energy.com","country":"DE","region":"DE-BY"},"products":[{"line":"network"},{"line":"firewall"}],"amount":{"value":"120000","currency":"EUR"},"received_at":"2025-03-01T08:00:00Z","protected_from":"2025-03-01T08:00:00Z","protected_until":"2025-06-01T00:00:00Z","expected_close_date":"2025-05-01","external_id":"portal-1","contact":{"email":"a@b.de"}}`
	want := Existing{
		Number: "DR-7", Status: deal.StatusProtected, ReceivedAt: time.Date(2025, 3, 1, 8, 0, 0, 0, time.UTC),
		ProtectedFrom: time.Date(2025, 3, 1, 8, 0, 0, 0, time.UTC), ProtectedUntil: time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC),
		Filing: deal.Filing{
			PartnerID: "P-1", DistributorID: "D-1", Type: "new_business", ExternalID: "portal-1",
			Customer: deal.Customer{Name: "Siemens Energy AG", AccountID: "A1", Domain: "siemens-energy.com", Country: "DE", Region: "DE-BY"},
			Contact:  deal.Contact{Email: "a@b.de"}, Products: []deal.Product{{Line: "network"}, {Line: "firewall"}},
			Amount: money("120000", "EUR"), ExpectedCloseDate: day("2025-05-01"),
		},
	}
	for name, text := range map[string]string{"CSV": flat, "flat NDJSON": oneLine, "nested NDJSON": nestedForm} {
		t.Run(name, func(t *testing.T) {
			n := 0
			err := ReadRegistrations(strings.NewReader(text), "auto", func(got Existing, bad *RowError) bool {
				if bad != nil {
					t.Fatal(bad)
				}
				n++
				got.Line = 0
				if diff := cmp.Diff(want, got, compareDecimals); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				return true
			})
			if err != nil || n != 1 {
				t.Errorf("%d rows, error %v", n, err)
			}
		})
	}
}

func TestBadRegistrations(t *testing.T) {
	const header = "number,partner_id,status,customer_name,received_at,protected_from,protected_until,expected_close_date,amount,currency\n"
	for _, c := range []struct{ name, text, want string }{
		{"nothing", header + ",,,,,,,,5,EUR\n", "line 2: number: is required: the number the partner was given; status: is required; one of [received returned waitlisted escalated conditional protected routed merged expired withdrawn revoked won lost transferred]; received_at: is required: the day, or the instant, it was received; partner_id: is required; customer_name: is required"},
		{"a status", header + "1,P,granted,X,2025-01-01,,,,,\n", `line 2: status: "granted" is not one of`},
		{"protected until when?", header + "1,P,protected,X,2025-01-01,,,,,\n", "line 2: protected_until: is required with the status protected"},
		{"an end before its start", header + "1,P,protected,X,2025-01-01,2025-02-01,2025-02-01,,,\n", "line 2: protected_until: is not after the protection's start, 2025-02-01T00:00:00Z"},
		{"a start without an end", header + "1,P,expired,X,2025-01-01,2025-02-01,,,,\n", "line 2: protected_until: is required with protected_from"},
		{"closed before it was filed", header + "1,P,expired,X,2025-01-01,,,2024-01-01,,\n", "line 2: expected_close_date: 2024-01-01 is in the past"},
		{"a date nobody can read", header + "1,P,expired,X,01.02.2025,,,2024-01-01,,\n", `line 2: received_at: "01.02.2025" is not a date`},
		{"an amount without a currency", header + "1,P,expired,X,2025-01-01,,,,5,\n", "line 2: amount.currency: is required with an amount"},
		{"JSON: a nested field", `{"number":"1","partner_id":"P","status":"expired","received_at":"2025-01-01","customer":{"nam":"X"}}`, `line 1: customer: has an unknown field "nam"`},
		{"JSON: a nested value", `{"number":"1","partner_id":"P","status":"expired","received_at":"2025-01-01","customer":{"name":"X","country":"Mars"}}`, `line 1: customer.country: "MARS" is not an ISO 3166-1`},
		{"JSON: a field", `{"number":"1","colour":"red"}`, "line 1: colour: is not a field"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got string
			err := ReadRegistrations(strings.NewReader(c.text), "auto", func(_ Existing, bad *RowError) bool {
				if bad != nil {
					got = bad.Error()
				}
				return true
			})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if strings.Contains(c.name, "nobody can read") && strings.Contains(got, "expected_close_date") {
				t.Errorf("it was measured by a date that is not known: %s", got)
			}
		})
	}
}

// TestRoundTrip: what is written as CSV by the standard library, and as JSON, is read as it was.
func TestRoundTrip(t *testing.T) {
	var want []deal.Record
	for i := range 200 {
		want = append(want, &deal.Account{
			ID: fmt.Sprintf("A%d", i), Name: awkward[i%len(awkward)], Street: awkward[(i*7+3)%len(awkward)], City: "Bonn",
			Domains: []string{"a.com", "b.com"}, Employees: int64(i + 1),
		})
	}
	var c, j bytes.Buffer
	w := csv.NewWriter(&c)
	w.UseCRLF = true
	_ = w.Write([]string{"id", "name", "street", "city", "domains", "employees"})
	for _, r := range want {
		a := r.(*deal.Account)
		_ = w.Write([]string{a.ID, a.Name, a.Street, a.City, strings.Join(a.Domains, ";"), fmt.Sprint(a.Employees)})
		line, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		j.Write(append(line, '\n'))
	}
	w.Flush()
	for name, text := range map[string]string{"csv": c.String(), "ndjson": j.String()} {
		got := readAll(t, text, deal.Accounts, name)
		if diff := cmp.Diff(want, got.Rows); diff != "" || got.Err != "" || len(got.Errs) > 0 {
			t.Errorf("%s: %s %v -want +got:\n%s", name, got.Err, got.Errs, diff)
		}
		// However the bytes arrive, the rows are the same.
		n := 0
		err := Read(iotest.OneByteReader(strings.NewReader(text)), deal.Accounts, name, func(row Row, bad *RowError) bool {
			if bad != nil || !cmp.Equal(row.Record, want[n]) {
				t.Errorf("%s, byte by byte: row %d is %+v, %v", name, n, row.Record, bad)
			}
			n++
			return true
		})
		if err != nil || n != len(want) {
			t.Errorf("%s, byte by byte: %d rows, %v", name, n, err)
		}
	}
}

var awkward = []string{
	"plain", "a, b", `say "hi"`, `"`, `""`, "a;b\tc", "two\nlines", "x\n\n\"y\",\nz", "日本電気株式会社", "Ω≈ç", "ﬁn", "'=1+1", "\\n", "{\"id\":1}",
}

// FuzzRead: no input panics, hangs or yields a row that is not one; and what it says of a CSV file that the standard
// library reads without complaint is the same.
func FuzzRead(f *testing.F) {
	f.Add([]byte("id,name\nA1,\"X\ny\"\n"), 0)
	f.Add([]byte("id;name;employees\n1;a\"b;3E2\n"), 0)
	f.Add([]byte("\xff\xfei\x00d\x00"), 0)
	f.Add([]byte(`{"id":"A1","name":"X","amount":{"value":1e9,"currency":"EUR"}}`), 1)
	f.Add([]byte("date,from,to,rate\n2026-01-01,USD,EUR,1E-3"), 5)
	f.Add([]byte("number,partner_id,status,customer_name,received_at\n1,P,won,X,2025-01-01T00:00:00.000+0000"), 6)
	f.Fuzz(func(t *testing.T, data []byte, which int) {
		rows, last := 0, 0
		check := func(line int, bad *RowError) {
			rows++
			if bad != nil {
				line = bad.Line
				if len(bad.Errs) == 0 {
					t.Error("an error that says nothing")
				}
			}
			if line <= last {
				t.Errorf("line %d after line %d", line, last)
			}
			last = line
		}
		if which = which & 7; which >= len(deal.RecordKinds) {
			_ = ReadRegistrations(bytes.NewReader(data), "auto", func(e Existing, bad *RowError) bool { check(e.Line, bad); return true })
		} else {
			_ = Read(bytes.NewReader(data), deal.RecordKinds[which], "auto", func(row Row, bad *RowError) bool {
				check(row.Line, bad)
				if bad == nil && (row.Record.Key() == "" || len(row.Present) == 0) {
					t.Errorf("a row without a key: %+v", row)
				}
				return true
			})
		}
		if lines := bytes.Count(data, []byte("\n")) + 1; rows > lines && !bytes.HasPrefix(data, []byte("\xff\xfe")) && !bytes.HasPrefix(data, []byte("\xfe\xff")) {
			t.Errorf("%d rows of %d lines", rows, lines)
		}
		compareWithStandard(t, data)
	})
}

func compareWithStandard(t *testing.T, data []byte) {
	std := csv.NewReader(bytes.NewReader(data))
	std.FieldsPerRecord = -1
	want, err := std.ReadAll()
	if err != nil || bytes.Contains(data, []byte("\r")) || len(data) > 1<<16 { // a lone carriage return is a matter of taste
		return
	}
	ours := &rowReader{in: bufio.NewReader(bytes.NewReader(data)), comma: ','}
	for i := 0; ; i++ {
		cells, line, err := ours.next(false)
		for err == nil && len(cells) == 1 && len(cells[0]) == 0 { // the standard library leaves out blank lines
			if i < len(want) && len(want[i]) == 1 && strings.TrimSpace(want[i][0]) == "" {
				break
			}
			cells, line, err = ours.next(false)
		}
		if errors.Is(err, io.EOF) {
			if i < len(want) {
				t.Errorf("%d rows, encoding/csv has %d", i, len(want))
			}
			return
		}
		if err != nil {
			t.Fatalf("line %d: %v, where encoding/csv has no complaint", line, err)
		}
		var got []string
		for _, c := range cells {
			got = append(got, string(c))
		}
		if i >= len(want) {
			t.Fatalf("a row too many: %q", got)
		}
		for k := range want[i] {
			want[i][k] = strings.TrimSpace(want[i][k])
		}
		if diff := cmp.Diff(want[i], got); diff != "" {
			t.Fatalf("line %d: -encoding/csv +ours:\n%s", line, diff)
		}
	}
}

// FuzzMembers: what members finds in an object is what encoding/json finds, and it refuses what encoding/json refuses.
func FuzzMembers(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":[{"c":"}"}],"d":{"e":[]},"f":"\\\"","g":null , "h" : -1.5e3 }`))
	f.Add([]byte(`{"\u0061\"":true}`))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"a":1} {"b":2}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			return
		}
		var want map[string]json.RawMessage
		wrong := json.Unmarshal(line, &want)
		got, err := members(line)
		if (err == nil) != (wrong == nil && want != nil) {
			t.Fatalf("error %v, where encoding/json says %v", err, wrong)
		}
		have := map[string]json.RawMessage{}
		for _, m := range got {
			have[m.name] = m.raw
		}
		if err == nil && utf8.Valid(line) && !reflect.DeepEqual(have, want) {
			t.Errorf("got %q, want %q", have, want)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	var plain, quoted, lines bytes.Buffer
	const header = "id,name,domain,country,region,city,postal_code,street,industry,employees,annual_revenue,status,owner\n"
	plain.WriteString(header)
	quoted.WriteString(header)
	const n = 10_000
	for i := range n {
		fmt.Fprintf(&plain, "ACC-%06d,Northern Instruments %d LLC,ni%d.example,US,CA,San Jose,95110,1 Main St,manufacturing,%d,30000000,customer,u-1\n", i, i, i, i)
		fmt.Fprintf(&quoted, "\"ACC-%06d\",\"Northern Instruments %d, LLC\",\"ni%d.example\",\"US\",\"CA\",\"San Jose\",\"95110\",\"1 Main St\nFloor 2\",\"manufacturing\",\"%d\",\"3.00E+07\",\"customer\",\"u-1\"\n", i, i, i, i)
		fmt.Fprintf(&lines, `{"id":"ACC-%06d","name":"Northern Instruments %d LLC","domain":"ni%d.example","country":"US","region":"US-CA","city":"San Jose","employees":%d,"status":"customer"}`+"\n", i, i, i, i)
	}
	for name, text := range map[string][]byte{"csv": plain.Bytes(), "quoted": quoted.Bytes(), "ndjson": lines.Bytes()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rows := 0
				if err := Read(bytes.NewReader(text), deal.Accounts, "auto", func(_ Row, bad *RowError) bool { rows++; return bad == nil }); err != nil || rows != n {
					b.Fatal(rows, err)
				}
			}
			b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
