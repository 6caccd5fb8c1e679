package match

import "testing"

func TestNamesSomebody(t *testing.T) {
	m := Default()
	for _, nobody := range []string{"", "GmbH", "Inc.", "S.A.", "GmbH & Co. KG", "株式会社", "The", "1", "test", "Test GmbH", "n/a", "N.N.", "unknown", "TBD", "xxx", "---", "end customer",
		"Endkunde folgt", "Siehe Beschreibung", "see attachment", "123456", "Kunde vertraulich", "Vertraulicher Endkunde", "Confidential", "CONFIDENTIAL CUSTOMER", "Client confidentiel", "N / A", "T.B.D.", "unbekannt", "Endkunde", "Endkunde noch nicht bekannt", "to be announced",
		"Customer - to be announced", "Named account", "Stealth", "Stealth Ltd.", "Customer A", "Kunde 4711", "End customer (confidential)", "not disclosed", "Undisclosed client", "under NDA", "k.A.", "keine Angabe",
		"Client final", "Société confidentielle", "Client à définir", "Cliente confidencial", "Por definir", "Cliente desconocido", "Cliente riservato", "Da definire", "Cliente finale", "Vertrouwelijk", "Eindklant onbekend", "n.t.b.",
		"Nog te bepalen", "Cliente sigiloso", "Não informado", "A definir", "Klient poufny", "Nieznany klient", "Do ustalenia", "nie dotyczy"} {
		if m.Names(nobody) {
			t.Errorf("%q names somebody", nobody)
		}
	}
	for _, somebody := range []string{"3M", "HP", "7-Eleven", "IBM", "AT&T", "SAP SE", "BMW AG", "Test Rite International", "The Company Store", "Unknown Worlds Entertainment", "アマダ", "海尔", "O2", "E.ON", "Group 1 Automotive", "SA Water", "Co-op", "Ag Leader", "Partners Group", "X Corp", "Лукойл", "Corporation Service Company", "C&A Corporation", "SE Corporation", "A&D Co., Ltd.", "Ca Inc", "BHD LLC",
		"Confidential Records Inc", "Stealth Communications", "END.", "Target", "Final GmbH", "Big Company", "Kunde & Sohn", "Private Bank", "Named Group", "Confidential Search Solutions", "New Enterprise Associates", "Diverse Ltd", "Vari",
		"Hidden Valley", "Client Earth", "Customer Alliance GmbH", "Account Control Technology", "Die Zeit", "Der Spiegel", "A Definition", "Testo SE", "Secret Escapes", "Blank Rome LLP", "Die Firma GmbH", "Prospect 33 LLC", "N D A Inc", "Divers Direct"} {
		if !m.Names(somebody) {
			t.Errorf("%q names nobody", somebody)
		}
	}
}
