package match

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// A pair in doubt may be one organisation, but never for certain: whatever speaks for it, a person looks.
const (
	contradicted = 0.6 // the most two records of different identifiers reach
	everyTown    = 0.8 // and two of a kind that every town has, in two towns, or two kinds in one
)

// doubt returns the probability a pair may reach at most, with the term and the words that say why; 0: any. certain says that the pair is
// beyond everyTown, so that what caps it there is worth a look.
func (m *Model) doubt(e *evidence, certain bool) (most float64, term, why string) {
	v := &e.v
	switch {
	case v[fLEIOther] > 0:
		return contradicted, "identifiers_differ", "two LEIs are two legal entities"
	case v[fDUNSOther] > 0 && v[fTaxSame]+v[fLEISame] == 0:
		return contradicted, "identifiers_differ", "each has a D-U-N-S number of its own"
	case v[fTaxOther] > 0 && v[fDUNSSame]+v[fLEISame] == 0 && sameSeries(e.a.tax, e.b.tax):
		return contradicted, "identifiers_differ", "each has a tax number of its own"
	case !certain:
	case e.like.a == nil:
	case e.twoTowns() && (localKind(e.like.a, e.a.display) || localKind(e.like.b, e.b.display) || both(&e.like, ofTown) || both(&e.like, ofCraft)):
		return everyTown, "every_town", "two towns, and a kind of name that every town may have"
	case e.twoRegions() && (localKind(e.like.a, e.a.display) || localKind(e.like.b, e.b.display) || both(&e.like, m.ofBody)):
		return everyTown, "every_town", "two regions, and a kind of name that each may have"
	case !e.like.exact && v[fCitySame]+v[fCityNear]+v[fPostalSame] == 0 && !e.connected() && m.otherLetter(&e.like):
		return everyTown, "every_town", "a letter apart, as two towns may be, and a kind of name that every town may have"
	case m.twoKinds(e):
		return everyTown, "two_kinds", "one is of a kind that the other is not said to be: a town and its utility, a university and its hospital"
	}
	return 0, "", ""
}

// sameSeries reports whether two different tax numbers are numbered alike, so that one organisation has one of them: a company number
// says nothing against a VAT number, nor does a number without its country's letters against itself.
func sameSeries(x, y string) bool {
	if strings.HasSuffix(x, y) || strings.HasSuffix(y, x) || len(x) != len(y) {
		return false
	}
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	for i := range len(x) {
		if digit(x[i]) != digit(y[i]) {
			return false
		}
	}
	// Two letters before are a country's or a register's.
	return digit(x[0]) || digit(x[1]) || x[:2] == y[:2]
}

// connected reports whether an identifier, a web domain, a telephone or a street speaks for one organisation.
func (e *evidence) connected() bool {
	v := &e.v
	return e.identified() || v[fDomainSame]+v[fDomainName]+v[fPhoneSame]+v[fStreetSame] > 0
}

// twoTowns reports whether both records say where they are, it is not one town, and nothing but names connects them.
func (e *evidence) twoTowns() bool {
	v := &e.v
	return e.onlyNames() && (v[fCityOther] > 0 || v[fPostalOther] > 0 && postalFar(e.a.postal, e.b.postal))
}

// onlyNames reports whether nothing but names, and a town's, connects two records.
func (e *evidence) onlyNames() bool { return !e.connected() && e.v[fPostalSame]+e.v[fPostalNear] == 0 }

// twoRegions reports whether both records say in which region they are, it is not one, and nothing but names connects them: a town's name
// does not, as towns of two regions have one.
func (e *evidence) twoRegions() bool {
	return e.v[fRegionOther] > 0 && e.onlyNames()
}

// both reports whether both names have one word of which is says so.
func both(l *likeness, is func(w string) bool) bool {
	return slices.ContainsFunc(l.a.words, func(w word) bool {
		return is(w.text) && slices.ContainsFunc(l.b.words, func(o word) bool { return o.text == w.text })
	})
}

// ofTown, ofBody and ofCraft report words of organisations that many towns have, that places and founders have one each of, and of crafts.
func ofTown(w string) bool { return townKinds[w] }

func (m *Model) ofBody(w string) bool {
	kind, _ := m.kindOfName(w)
	return kind != ""
}

func ofCraft(w string) bool { return crafts[w] || endsIn(w, craftEnds) }

// endsIn reports whether a word is compound, and what it ends in one of ends.
func endsIn(w string, ends []string) bool {
	return slices.ContainsFunc(ends, func(end string) bool { return len(w) > len(end)+2 && strings.HasSuffix(w, end) })
}

// otherLetter reports whether two names share a word of a kind that every town has and a word, long or short, that is one letter apart, and
// have no more.
func (m *Model) otherLetter(l *likeness) bool {
	if len(l.a.words) != len(l.b.words) || len(l.a.words) > 3 {
		return false
	}
	kind, apart := false, false
	for _, p := range m.pairings(l) {
		switch {
		case p.a == p.b:
			kind = kind || m.ofBody(p.a) || ofTown(p.a)
		case p.sim < spelling && distance(p.a, p.b) == 1 && min(m.weight(p.a), m.weight(p.b)) > ordinaryWeight && !saints[p.a] && !saints[p.b]:
			apart = true
		}
	}
	return kind && apart
}

// postalFar reports postal codes that no one town has: of five digits, the leading two are five or more apart; of letters, as British
// and Canadian ones, the first differs, London's aside.
func postalFar(x, y string) bool {
	if len(x) < 4 || len(y) < 4 {
		return false
	}
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	if digit(x[0]) && digit(y[0]) && digit(x[1]) && digit(y[1]) && len(x) == len(y) {
		d := int(x[0])*10 + int(x[1]) - int(y[0])*10 - int(y[1])
		return max(d, -d) >= 5
	}
	const london = "ENSW"
	return !digit(x[0]) && !digit(y[0]) && x[0] != y[0] && !(strings.IndexByte(london, x[0]) >= 0 && strings.IndexByte(london, y[0]) >= 0)
}

// localKind reports whether a name is of a kind that every town has, as read or as written.
func localKind(n *name, written string) bool {
	for i := range n.words {
		w := n.words[i].text
		if localKinds[w] {
			return true
		}
		for _, end := range localEnds {
			if len(w) > len(end)+1 && strings.HasSuffix(w, end) {
				return true
			}
		}
	}
	if utf8.RuneCountInString(written) == len(written) {
		return false
	}
	for _, k := range localMarks {
		if strings.Contains(written, k) {
			return true
		}
	}
	return false
}

// twoKinds reports whether a name says a kind of organisation that the other does not, and nothing but names connects the two: a town's
// utility is not the town, nor the pharmacy in a house the house. A word that is one misspelt or cut short says the same.
func (m *Model) twoKinds(e *evidence) bool {
	l := &e.like
	if l.a == nil || l.exact || l.cutShort || l.acronym > 0 && l.dice < 0.5 || e.connected() {
		return false
	}
	pairs := m.pairings(l)
	var agreed [2]map[string]bool
	agreed[0], agreed[1] = map[string]bool{}, map[string]bool{}
	for _, p := range pairs {
		x, wholeX := m.kindOfName(p.a)
		y, wholeY := m.kindOfName(p.b)
		if p.sim >= spelling || strings.Contains(p.a+p.b, " ") || x == y || (x == "" || y == "") && (wholeX || wholeY || distance(p.a, p.b) <= 2) {
			for i, side := range []string{p.a, p.b} {
				for _, w := range strings.Fields(side) {
					agreed[i][w] = true
				}
			}
		}
	}
	says := func(n *name, kind string) bool {
		return slices.ContainsFunc(n.words, func(w word) bool { k, _ := m.kindOfName(w.text); return k == kind })
	}
	other := func(n, o *name, agreed map[string]bool) bool {
		return slices.ContainsFunc(n.words, func(w word) bool {
			k, _ := m.kindOfName(w.text)
			return k != "" && !agreed[w.text] && !says(o, k)
		})
	}
	return other(l.a, l.b, agreed[0]) || other(l.b, l.a, agreed[1])
}

// kindOfName returns the kind of organisation that a word of a name says, or nothing, and whether it says no more: "apotheke" does,
// "sonnenapotheke" has a name in it.
func (m *Model) kindOfName(w string) (kind string, whole bool) {
	one := strings.TrimSuffix(w, "s")
	if strings.HasSuffix(w, "ies") {
		one = w[:len(w)-3] + "y"
	}
	for _, k := range []string{w, one} {
		if localKinds[k] || bodyKinds[k] {
			return k, true
		}
	}
	for _, ends := range [][]string{localEnds, bodyEnds} {
		for _, end := range ends {
			if len(w) > len(end)+1 && strings.HasSuffix(w, end) {
				return cmp.Or(m.synonym[end], end), false
			}
		}
	}
	return "", false
}

// bodyKinds are the kinds of which a place or a founder has one each beside localKinds, and bodyEnds what compound words of them end in.
//
//nolint:misspell // of many languages
var bodyKinds = setOf(`kreis landkreis city county town province provincia university universita universitatsklinikum fachhochschule college academy hospital hopital ospedale ziekenhuis klinik sykehus
airport utilities waterworks bank kreissparkasse krankenkasse police theater zoo foundation`)

var bodyEnds = []string{"gemeindewerke", "kreiswerke", "wasserwerke", "verkehrsbetriebe", "klinik", "klinikum", "krankenhaus", "universitat", "hochschule", "volksbank", "raiffeisenbank"}

// localKinds are words that say that an organisation is one of those every town has, each in the form words are compared in.
//
//nolint:misspell // of many languages
var localKinds = setOf(`school kindergarten nursery preschool daycare kita gymnasium realschule gesamtschule lycee elementary highschool liceo istituto ecole maternelle
pharmacy apotheke pharmacie farmacia apotek apoteka drugstore optician optiker
hotel motel inn hostel pension gasthof gasthaus gasthuis hostal albergo auberge ryokan guesthouse
restaurant pizzeria ristorante trattoria osteria taverna taverne brasserie bistro cafe pub diner grill bar imbiss eiscafe gelateria
bakery backerei konditorei boulangerie patisserie panaderia panificio padaria bakkerij butcher metzgerei fleischerei boucherie carniceria macelleria
church parish eglise iglesia igreja chiesa kirche kirchengemeinde pfarrei pfarramt pfarrgemeinde paroisse parroquia parrocchia paroquia kerk parafia kyrka chapel mosque synagogue baptist lutheran methodist presbyterian
gemeinde gemeindeverwaltung municipality commune mairie ayuntamiento municipio comune gmina kommune kommun obec township village stadt stadtverwaltung
feuerwehr pompiers bomberos vigili bombeiros stadtwerke gemeindewerke wasserwerk library bibliothek stadtbibliothek volkshochschule sparkasse raiffeisenbank volksbank
autohaus garage dealership concessionaire concessionaria autosalon fahrschule
zahnarztpraxis zahnarzt arztpraxis hausarzt praxis dental dentist dentistry dentista orthodontics chiropractic pediatrics veterinary tierarzt tierarztpraxis clinic clinica clinique physiotherapie
club verein sportverein schutzenverein turnverein musikverein sportclub fussballclub lodge
friseur frisor barber salon coiffeur parrucchiere peluqueria florist blumenhaus laundromat reinigung gym fitnessstudio kino cinema
seniorenheim pflegeheim altenheim residencia hospice jugendherberge museum`)

// townKinds are those of which many towns have one by the same founder, saint or name, beside localKinds.
var townKinds = setOf(`hospital hopital ospedale ziekenhuis klinik klinikum krankenhaus sykehus sjukhus szpital infirmary college collegio colegio academy caritas caritasverband diakonie diakoniewerk diakonisches rotes awo kolpingwerk lebenshilfe`)

// crafts are trades that people ply under their family's name or their house's, and craftEnds what compound words of them end in.
var crafts = setOf(`schreinerei tischlerei schlosserei zimmerei gartnerei dachdeckerei dachdecker malerbetrieb maler sanitar heizung elektro bauunternehmen bauunternehmung baugeschaft brauerei brewery weingut winzer metallbau holzbau
fahrschule spedition druckerei kanzlei notar notariat rechtsanwalt rechtsanwalte steuerberater ingenieurburo architekt reiseburo optik zahntechnik pflegedienst menuiserie plomberie maconnerie charpente couverture boulangers garagiste
talleres bodega bodegas carpinteria panaderia officina officine falegnameria cantina aannemersbedrijf bouwbedrijf schildersbedrijf slagerij`)

var craftEnds = []string{"schreinerei", "tischlerei", "schlosserei", "zimmerei", "gartnerei", "brauerei", "druckerei", "backerei", "metzgerei"}

// localEnds are what German, Dutch and Scandinavian words of that kind end in.
var localEnds = []string{"schule", "apotheke", "gymnasium", "kindergarten", "tagesstatte", "feuerwehr", "kirche", "gemeinde", "pfarrei", "hotel", "gasthof", "backerei", "metzgerei", "fleischerei",
	"konditorei", "praxis", "stadtwerke", "autohaus", "verein", "skole", "skola", "school", "kerk", "bakkerij", "pizzeria", "bibliothek", "bucherei", "pflegeheim", "seniorenheim", "sparkasse"}

// localMarks are what such names have in scripts without spaces.
var localMarks = []string{"小学校", "中学校", "高等学校", "幼稚園", "保育園", "歯科", "薬局", "医院", "ホテル", "旅館", "教会", "市役所", "消防", "小学", "中学", "幼儿园", "药店", "药房", "诊所", "酒店", "饭店", "教堂",
	"초등학교", "중학교", "고등학교", "유치원", "어린이집", "약국", "치과", "의원", "호텔", "교회"}

func setOf(list string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(list) {
		out[w] = true
	}
	return out
}

// generalWords are those that churches, unions and lodges of one kind have in common beside localKinds.
var generalWords = setOf(`first second third new united saint st our lady holy local union brotherhood workers plumbers pipefitters carpenters electricians electrical
ironworkers teamsters bricklayers painters roofers firefighters teachers catholic evangelical evangelisch evangelische lutherisch lutherische katholisch katholische romisch sankt orthodox pentecostal presbyterian episcopal anglican reformed free
christian assembly god masonic elks rotary lions`)

// tradeWords are words of trades that are rarer among the names the weights were counted in than
// where the trade is called so. tradeEnds is what compound words of trades end in.
//
//nolint:misspell // of many languages
var tradeWords = setOf(`maler malerbetrieb kanzlei notar notariat notare rechtsanwalt rechtsanwalte anwalte steuerberater steuerberatung steuerkanzlei wirtschaftsprufer ingenieurburo planungsburo architekt architekten
bau elektro elektronik sanitar heizung dach dachdecker dachdeckerei tischlerei schreinerei schlosserei zimmerei gartnerei garten galabau kfz werkstatt spedition logistik logistics handel handels grosshandel vertrieb verlag druckerei medien
immobilien hausverwaltung brauerei weingut winzer hof landhandel optik zahntechnik horgerate reisen reiseburo touristik mobel textil mode schuhe werbung werbeagentur agentur gebaudereinigung gebaudetechnik maschinen werkzeug
werkzeuge metall stahl holz glas kunststoff kunststofftechnik chemie energie solar pflege pflegedienst fahrrad fahrradhaus gruppe sohne
avocat avocats notaire notaires cabinet menuiserie plomberie maconnerie charpente couverture electricite peinture boulangers garagiste etablissements ets domaine chateau
abogado abogados gestoria asesoria talleres construcciones obras reformas muebles bodega bodegas finca studio legale avvocati commercialista notaio officina officine impianti edilizia costruzioni arredamenti azienda agricola tenuta cantina
advocaten advocaat notarissen aannemer aannemersbedrijf bouw bouwbedrijf installatie loodgieter schilder schildersbedrijf makelaar makelaardij transport transporten slagerij advokat advokatfirma bygg entreprenor rorlegger elektriker
plumbing roofing heating cooling painting flooring landscaping masonry drywall excavating trucking towing winery vineyard vineyards farm farms ranch orchard orchards dairy nursery law solicitors attorneys lawyers barristers accountants
accounting cpa realtors builders carpentry joinery joiners upholstery jewelers jewellers opticians surveyors architects welding machining fabrication printing`)

//nolint:misspell // of many languages
var tradeEnds = []string{"bau", "technik", "handel", "betrieb", "betriebe", "service", "logistik", "transporte", "systeme", "beratung", "verwaltung", "vertrieb", "verlag", "elektronik", "maschinen", "werkzeuge",
	"reinigung", "versicherung", "versicherungen", "immobilien", "tischlerei", "schlosserei", "gartnerei", "brauerei", "druckerei", "kanzlei", "werkstatt", "burobedarf", "bedrijf", "bouw", "techniek"}
