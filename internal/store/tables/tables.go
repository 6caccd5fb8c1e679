// Package tables is what the engines of the storage contract have in common: the tables people query and the ledger's
// own, the rows a commit puts there, and the reads whose words are the same on every engine. An engine brings the
// connections, the transaction of a commit, the schema, and what it does better in its own way.
//
// Statements mark their arguments with ?. Arguments and values are string, []byte, JSON, integers, bool, time.Time and
// nil; an engine binds them as its columns hold them.
package tables

import (
	"slices"
	"strings"

	"github.com/dibs-deals/dibs/internal/deal"
)

// JSON is a document of a row, as text.
type JSON []byte

// Type is what a column holds.
type Type int

// The types of columns.
const (
	Text    Type = iota
	Int          // 64 bits
	Bool         //
	Time         // microseconds, UTC
	Decimal      // an exact number, given as text
	Date         // of a calendar, given as text
	Bytes        //
	Doc          // JSON
)

// Column is a column of a table.
type Column struct {
	Name string
	Type Type
	Keep bool // an upsert of a row that is there leaves it as it is
}

// Table is a table as a commit writes it.
type Table struct {
	Name    string
	Key     []string // of a row
	Columns []Column // in the order of a row's values
	Group   string   // the column whose value names the rows that are deleted together
	Upsert  string   // the statement that puts one row: it replaces the row of its key where the table allows that
	Delete  string   // the statement that deletes a group

	// Fresh reports whether a row is the first of its key: to look for one to replace would be in vain. Nil: it cannot be told.
	Fresh func(row []any) bool
}

// Replaces reports whether a row may be put again, with another content.
func (t *Table) Replaces() bool {
	for _, c := range t.Columns {
		if !c.Keep {
			return true
		}
	}
	return false
}

// Names returns the names of the columns, separated by commas.
func (t *Table) Names() string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}

// OnConflict is the end of the statement that puts rows of a table that replaces, else empty.
func (t *Table) OnConflict() string {
	var set []string
	for _, c := range t.Columns {
		if !c.Keep {
			set = append(set, c.Name+" = excluded."+c.Name)
		}
	}
	if len(set) == 0 {
		return ""
	}
	return " ON CONFLICT (" + strings.Join(t.Key, ", ") + ") DO UPDATE SET " + strings.Join(set, ", ")
}

// at returns the place of a column, or -1.
func (t *Table) at(column string) int {
	return slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == column })
}

// table reads a table's columns from words like "name", "at:time" and "+id": type text where none is given, + for one
// that an upsert keeps.
func table(name, key, group string, words ...string) *Table {
	types := map[string]Type{"": Text, "int": Int, "bool": Bool, "time": Time, "decimal": Decimal, "date": Date, "bytes": Bytes, "doc": Doc}
	t := &Table{Name: name, Key: strings.Fields(key), Group: group}
	for _, w := range strings.Fields(strings.Join(words, " ")) {
		w, keep := strings.CutPrefix(w, "+")
		column, kind, _ := strings.Cut(w, ":")
		t.Columns = append(t.Columns, Column{Name: column, Type: types[kind], Keep: keep})
	}
	t.Upsert = "INSERT INTO " + t.Name + " (" + t.Names() + ") VALUES (?" + strings.Repeat(", ?", len(t.Columns)-1) + ")" + t.OnConflict()
	t.Delete = "DELETE FROM " + t.Name + " WHERE " + group + " = ?"
	return t
}

// The ledger's own tables.
var (
	Entry = table("entry", "seq", "seq",
		"+seq:int +at:time +kind +subject +key_id +role +person_id +idem_key +request_hash:bytes +answer:bytes +encoding:int +body:bytes +leaf:bytes +chain:bytes +size:int")
	Personal = table("personal", "seq", "seq", "+seq:int +doc")
	Node     = table("node", "i", "i", "+i:int +hash:bytes")
	Event    = table("event", "id", "id", "+id +seq:int +type +subject +at:time +body:bytes +registration_id +partner_id +distributor_id")
	Head     = table("head", "id", "id", "+id:int seq:int chain:bytes root:bytes at:time registrations:int")
)

// The tables that follow from the entries.
var (
	Registration = table("registration", "id", "id",
		"+id +number partner_id distributor_id status customer_key customer_name account_id external_id amount:decimal currency",
		"+received_at:time protected_from:time protected_until:time decision_id case_id +seq:int version:int doc:doc")
	// Holder has the cells of live claims (store.Element). Its unique index holder_one is over exclusive ones.
	Holder = table("holder", "registration_id line site", "registration_id",
		"+registration_id +customer_key +line +site +shared:bool +starts_at:time +ends_at:time")
	// Decision leads from a registration to the entries that hold its decisions.
	Decision = table("decision", "seq", "seq",
		"+seq:int +id +registration_id +at:time +outcome +disposition +reason +policy +policy_version:int")
	Escalation = table("escalation", "id", "id", "+id +kind +registration_id +partner_id reason status queue +opened_at:time due_at:time assignee version:int doc:doc")
	Finding    = table("finding", "id", "id", "+id +verdict +subject_key +other_key until:time withdrawn_at:time version:int doc:doc")
	Document   = table("document", "kind version", "kind", "+kind +version:int +name +digest status doc:doc")
	APIKey     = table("api_key", "id", "id", "+id role +created_at:time revoked_at:time doc:doc")
)

// A registration whose version is the entry by which it was filed is new.
func init() {
	seq, version := Registration.at("seq"), Registration.at("version")
	Registration.Fresh = func(row []any) bool { return row[seq] == row[version] }
}

// Projected are the tables that follow from the entries, in an order in which they can be written: a row comes after what
// it refers to.
var Projected = []*Table{
	Registration, Holder, Decision, Escalation, Finding, records[deal.Accounts].Table, records[deal.Opportunities].Table, records[deal.Partners].Table,
	records[deal.People].Table, records[deal.Products].Table, records[deal.Rates].Table, Document, APIKey,
}

// record says how one kind of reference data is kept: the columns people query, beside the document itself.
type record struct {
	*Table
	values func(deal.Record) []any // of the columns between id and doc
}

var records = map[deal.RecordKind]record{
	deal.Accounts: {table("account", "id", "id", "+id name name_fold domain country region city status owner named:bool parent_id doc:doc"),
		func(r deal.Record) []any {
			a := r.(*deal.Account)
			return []any{a.Name, fold(a.Name), null(a.Domain), null(a.Country), null(a.Region), null(a.City), null(a.Status), null(a.Owner), a.Named, null(a.ParentID)}
		}},
	deal.Opportunities: {table("opportunity", "id", "id", "+id account_id account_name name_fold stage status led_by partner_id owner amount:decimal currency doc:doc"),
		func(r deal.Record) []any {
			o := r.(*deal.Opportunity)
			return []any{null(o.AccountID), null(o.AccountName), fold(o.Name), null(o.Stage), o.Status, o.LedBy, null(o.PartnerID), null(o.Owner), null(o.Amount.Value.String()), null(o.Amount.Currency)}
		}},
	deal.Partners: {table("partner", "id", "id", "+id name name_fold type tier status country distributor_id doc:doc"),
		func(r deal.Record) []any {
			p := r.(*deal.Partner)
			return []any{p.Name, fold(p.Name), null(p.Type), null(p.Tier), null(p.Status), null(p.Country), null(p.DistributorID)}
		}},
	deal.People: {table("person", "id", "id", "+id name name_fold email manager doc:doc"),
		func(r deal.Record) []any {
			p := r.(*deal.Person)
			return []any{p.Name, fold(p.Name), null(p.Email), null(p.Manager)}
		}},
	deal.Products: {table("product", "id", "id", "+id name_fold line class core:bool doc:doc"),
		func(r deal.Record) []any {
			p := r.(*deal.CatalogueProduct)
			return []any{fold(p.SKU), p.Line, null(p.Class), p.Core}
		}},
	deal.Rates: {table("rate", "id", "id", "+id name_fold date:date from_currency to_currency rate:decimal doc:doc"),
		func(r deal.Record) []any {
			x := r.(*deal.Rate)
			return []any{fold(x.From + x.To), x.Date.String(), x.From, x.To, x.Rate}
		}},
}

func fold(s string) string { return strings.ToLower(s) }

// null stores an empty text as NULL, so that partial indexes leave it out.
func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}
