package match

import "testing"

func TestNamesSomebody(t *testing.T) {
	m := Default()
	for _, nobody := range []string{"", "GmbH", "Inc.", "S.A.", "GmbH & Co. KG", "株式会社", "The", "1", "test", "Test GmbH", "n/a", "N.N.", "unknown", "TBD", "xxx", "---", "end customer"} {
		if m.Names(nobody) {
			t.Errorf("%q names somebody", nobody)
		}
	}
	for _, somebody := range []string{"3M", "HP", "7-Eleven", "IBM", "AT&T", "SAP SE", "BMW AG", "Test Rite International", "The Company Store", "Unknown Worlds Entertainment", "アマダ", "海尔", "O2", "E.ON", "Group 1 Automotive", "SA Water", "Co-op", "Ag Leader", "Partners Group", "X Corp", "Лукойл", "Corporation Service Company", "C&A Corporation", "SE Corporation", "A&D Co., Ltd.", "Ca Inc", "BHD LLC"} {
		if !m.Names(somebody) {
			t.Errorf("%q names nobody", somebody)
		}
	}
}
