package deal

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
	"golang.org/x/text/unicode/norm"
)

// TownNames are the towns and regions that have names in several languages, without their marks, each with the one its people use.
// Nobody writes to it.
var TownNames = map[string]string{"munich": "munchen", "muenchen": "munchen", "cologne": "koln", "koeln": "koln", "nuremberg": "nurnberg", "nuernberg": "nurnberg", "brunswick": "braunschweig",
	"bavaria": "bayern", "saxony": "sachsen", "vienna": "wien", "geneva": "geneve", "genf": "geneve", "lucerne": "luzern", "basle": "basel", "milan": "milano", "turin": "torino", "rome": "roma",
	"florence": "firenze", "venice": "venezia", "naples": "napoli", "genoa": "genova", "tuscany": "toscana", "lombardy": "lombardia", "lisbon": "lisboa", "seville": "sevilla", "saragossa": "zaragoza",
	"catalonia": "catalunya", "cataluna": "catalunya", "andalusia": "andalucia", "brussels": "bruxelles", "brussel": "bruxelles", "antwerp": "antwerpen", "anvers": "antwerpen", "ghent": "gent",
	"bruges": "brugge", "luik": "liege", "flanders": "vlaanderen", "dunkirk": "dunkerque", "brittany": "bretagne", "normandy": "normandie", "copenhagen": "kobenhavn", "gothenburg": "goteborg",
	"prague": "praha", "warsaw": "warszawa", "cracow": "krakow", "danzig": "gdansk", "breslau": "wroclaw", "moscow": "moskva", "kiev": "kyiv", "kharkov": "kharkiv", "lvov": "lviv", "odessa": "odesa",
	"athens": "athina", "bucharest": "bucuresti", "belgrade": "beograd", "peking": "beijing", "bombay": "mumbai", "madras": "chennai", "calcutta": "kolkata", "bangalore": "bengaluru",
	"rangoon": "yangon", "saigon": "ho chi minh city", "the hague": "den haag", "hague": "haag"}

// exonyms are more names of towns, some of which are other towns elsewhere, or words. Where two of them meet it is one site, in doubt; two
// organisations are not one for it.
//
//nolint:misspell // of many languages
var exonyms = map[string]string{
	"aix la chapelle": "aachen", "aken": "aachen", "aquisgran": "aachen", "norimberga": "nurnberg", "ginevra": "geneve", "ginebra": "geneve", "colonia": "koln",
	"keulen": "koln", "monaco di baviera": "munchen", "mayence": "mainz", "magonza": "mainz", "treves": "trier", "treviri": "trier", "francoforte": "frankfurt",
	"francfort": "frankfurt", "hambourg": "hamburg", "amburgo": "hamburg", "hamburgo": "hamburg", "berlino": "berlin", "dresde": "dresden", "dresda": "dresden",
	"lipsia": "leipzig", "leipsick": "leipzig", "brema": "bremen", "breme": "bremen", "stoccarda": "stuttgart", "estugarda": "stuttgart", "augusta": "augsburg",
	"augsbourg": "augsburg", "ratisbonne": "regensburg", "ratisbona": "regensburg", "ratisbon": "regensburg", "coblence": "koblenz", "coblenza": "koblenz",
	"fribourg en brisgau": "freiburg", "friburgo": "freiburg", "hannovre": "hannover", "hanovre": "hannover", "hanover": "hannover", "constance": "konstanz",
	"costanza": "konstanz", "spira": "speyer", "spire": "speyer", "duisbourg": "duisburg", "bale": "basel", "basilea": "basel", "berna": "bern", "berne": "bern",
	"zurigo": "zurich", "lucerna": "luzern", "losanna": "lausanne", "coira": "chur", "coire": "chur", "soleure": "solothurn", "sankt gallen": "st gallen",
	"saint gall": "st gallen", "san gallo": "st gallen", "salisburgo": "salzburg", "salzbourg": "salzburg", "viena": "wien", "vienne": "wien", "wenen": "wien",
	"mailand": "milano", "rom": "roma", "florenz": "firenze", "venedig": "venezia", "neapel": "napoli", "genua": "genova", "genes": "genova", "bozen": "bolzano",
	"meran": "merano", "brixen": "bressanone", "trient": "trento", "triest": "trieste", "padua": "padova", "mantua": "mantova", "syracuse": "siracusa",
	"strassburg": "strasbourg", "strasburgo": "strasbourg", "lyons": "lyon", "lione": "lyon", "marsiglia": "marseille", "marseilles": "marseille", "nizza": "nice",
	"mulhausen": "mulhouse", "straatsburg": "strasbourg", "rijsel": "lille", "parigi": "paris", "parijs": "paris", "lussemburgo": "luxembourg", "luxemburg": "luxembourg",
	"bruselas": "bruxelles", "bruessel": "bruxelles", "amberes": "antwerpen", "anversa": "antwerpen", "gante": "gent", "gand": "gent", "brujas": "brugge", "luttich": "liege",
	"luettich": "liege", "lieja": "liege", "lowen": "leuven", "louvain": "leuven", "mecheln": "mechelen", "malines": "mechelen", "courtrai": "kortrijk", "ostende": "oostende",
	"ostend": "oostende", "ypres": "ieper", "la haye": "den haag", "la haya": "den haag", "aia": "den haag", "flushing": "vlissingen", "nimwegen": "nijmegen",
	"kopenhagen": "kobenhavn", "copenhague": "kobenhavn", "goteburgo": "goteborg", "helsingfors": "helsinki", "abo": "turku", "estocolmo": "stockholm", "stoccolma": "stockholm",
	"prag": "praha", "brunn": "brno", "pilsen": "plzen", "karlsbad": "karlovy vary", "budweis": "ceske budejovice", "olmutz": "olomouc", "reichenberg": "liberec",
	"pressburg": "bratislava", "kaschau": "kosice", "warschau": "warszawa", "varsovie": "warszawa", "varsavia": "warszawa", "krakau": "krakow", "cracovia": "krakow",
	"posen": "poznan", "stettin": "szczecin", "kattowitz": "katowice", "lodsch": "lodz", "thorn": "torun", "gdingen": "gdynia", "wilna": "vilnius", "laibach": "ljubljana",
	"marburg an der drau": "maribor", "agram": "zagreb", "fiume": "rijeka", "hermannstadt": "sibiu", "kronstadt": "brasov", "klausenburg": "cluj napoca",
	"temeswar": "timisoara", "moskau": "moskva", "mosca": "moskva", "moscou": "moskva", "sankt petersburg": "saint petersburg", "st petersburg": "saint petersburg",
	"kiew": "kyiv", "lemberg": "lviv", "lwow": "lviv", "athen": "athina", "atene": "athina", "atenas": "athina", "lissabon": "lisboa", "lisbona": "lisboa", "lisbonne": "lisboa",
	"oporto": "porto", "londres": "london", "londra": "london", "londen": "london", "edimburgo": "edinburgh", "edinburg": "edinburgh", "siviglia": "sevilla",
	"saragosse": "zaragoza", "la coruna": "a coruna", "corunna": "a coruna", "san sebastian": "donostia", "nueva york": "new york", "mexico city": "ciudad de mexico",
	"mexiko stadt": "ciudad de mexico", "kairo": "cairo", "tokio": "tokyo", "singapur": "singapore", "canton": "guangzhou", "nanking": "nanjing",
}

// localNames is TownNames in the letters of placeText, of which keys are made; readNames has exonyms too, with which they are read.
var localNames, readNames = inPlaceText(TownNames), inPlaceText(exonyms, TownNames)

func inPlaceText(lists ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, names := range lists {
		for name, local := range names {
			out[placeText(name)] = placeText(local)
		}
	}
	return out
}

// Key identifies a site for scope comparison: its place, as people write it in several ways, and its name where no place is given. Sites of one key are one;
// sites of two keys may be one as well, which apart tells.
func (s Site) Key() string {
	key := strings.Join([]string{placeText(s.Country), postalText(s.PostalCode), townText(s.City, localNames), streetText(s.Street)}, "|")
	if strings.Trim(key, "|") == "" {
		key = siteNamed + placeText(s.Name)
	}
	return key
}

// siteNamed begins the key of a site of which only the name is known.
const siteNamed = "name|"

// placeText undoes case, marks and their spelling in two letters ("Köln", "Koeln"), and punctuation.
func placeText(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Mn, r):
			return -1
		case unicode.IsLetter(r), unicode.IsDigit(r):
			return r
		}
		return ' '
	}, norm.NFD.String(Fold(s)))
	return strings.Join(strings.Fields(twoLetters.Replace(s)), " ")
}

var twoLetters = strings.NewReplacer("ß", "ss", "ae", "a", "oe", "o", "ue", "u", "ø", "o", "æ", "a", "œ", "o")

// postalText is a postal code without spaces, hyphens, the country before its digits ("D-89073") and the noughts that spreadsheets lose.
func postalText(s string) string {
	s = strings.ReplaceAll(placeText(s), " ", "")
	if m := postalCountry.FindStringSubmatch(s); m != nil {
		s = m[1]
	}
	if bare := strings.TrimLeft(s, "0"); bare != "" {
		s = bare
	}
	return s
}

var postalCountry = regexp.MustCompile(`^[a-z]{1,3}([0-9]{3,})$`)

// townText is placeText with the town, and what else is named with it, by the name its people use.
func townText(s string, names map[string]string) string {
	s = placeText(s)
	if local := names[s]; local != "" {
		return local
	}
	words := strings.Fields(s)
	for i, w := range words {
		if local := names[w]; local != "" {
			words[i] = local
		}
	}
	return strings.Join(words, " ")
}

// streetText is placeText with the words for streets cut short, and ordinal numbers ("3. OG") told from those of houses.
func streetText(s string) string {
	words := strings.Fields(placeText(ordinal.ReplaceAllString(s, "${1}th $2")))
	for i, w := range words {
		if short, ok := streetWords[w]; ok {
			words[i] = short
		} else if head, ok := strings.CutSuffix(w, "strasse"); ok {
			words[i] = head + "str"
		}
	}
	return strings.Join(words, " ")
}

var (
	ordinal     = regexp.MustCompile(`\b([0-9]+)\.\s*(\pL)`)
	streetWords = map[string]string{"street": "st", "avenue": "ave", "av": "ave", "road": "rd", "boulevard": "blvd", "drive": "dr", "lane": "ln", "square": "sq", "place": "pl",
		"court": "ct", "highway": "hwy", "suite": "ste", "north": "n", "south": "s", "east": "e", "west": "w"}
)

// Words that say no place: of a town, a street or a name with one of these it is not known where it is.
var (
	nowhere = []string{"unbekannt", "unknown", "diverse", "divers", "various", "verschiedene", "mehrere", "several", "multiple", "all", "siehe", "anlage", "attached", "attachment", "tbd", "tba", "tbc",
		"none", "keine", "inconnu", "plusieurs", "desconocido", "varios", "todos", "todas", "sconosciuto", "varie", "tutte", "onbekend", "nieznany", "xxx", "xxxx", "test", "standorte", "standorten", "niederlassungen",
		"filialen", "werke", "locations", "sites", "branches", "plants", "sedi", "sedes", "bundesweit", "nationwide", "weltweit", "worldwide", "europaweit"}
	boxes = []string{"postfach", "box", "pobox", "bp", "boite", "apartado", "casella", "postbus", "skrytka"}
)

// says returns a text that says where something is, or nothing.
func says(s string, none ...[]string) string {
	words := strings.Fields(s)
	for _, list := range none {
		if slices.ContainsFunc(words, func(w string) bool { return slices.Contains(list, w) }) {
			return ""
		}
	}
	return s
}

// codes are what postal codes look like without spaces, the country and leading noughts: digits, as in most countries, or as in Britain, Canada, the
// Netherlands, Ireland, Malta, Brunei, Argentina and Andorra. Anything else is a slip, and says nothing.
var codes = regexp.MustCompile(`^([0-9]{3,10}|[a-z]{1,2}[0-9][a-z0-9]?([0-9][a-z]{2})?|[a-z][0-9][a-z]([0-9][a-z][0-9])?|[0-9]{4}[a-z]{2}|[a-z][0-9][0-9w][a-z0-9]{4}|[a-z]{3}[0-9]{2,4}|[a-z]{2}[0-9]{4}|[a-z][0-9]{4}[a-z]{3}|ad[0-9]{3})$`)

var lookalikes = strings.NewReplacer("o", "0", "i", "1", "l", "1")

// codeOf returns the postal code that a text of postalText is, or nothing.
func codeOf(s string) string {
	if digits := lookalikes.Replace(s); !codes.MatchString(s) && strings.Trim(digits, "0123456789") == "" {
		s = digits
	}
	if len(s) > 2 && strings.Count(s, s[:1]) == len(s) { // 00000, 99999
		return ""
	}
	if codes.MatchString(s) {
		return s
	}
	return ""
}

// Words that many names share tell no two places apart, nor do they make them one.
var (
	townKinds = []string{"new", "san", "santa", "santo", "sao", "saint", "sankt", "bad", "los", "las", "les", "the", "der", "den", "del", "villa", "ciudad", "fort", "port", "mount", "lake",
		"north", "south", "east", "west", "upper", "lower", "great", "ober", "unter", "nieder", "gross", "klein", "neu", "alt", "city", "town", "stadt"}
	streetKinds = []string{"str", "weg", "platz", "allee", "gasse", "ring", "ufer", "damm", "ave", "blvd", "hwy", "ste", "way", "rue", "via", "viale", "calle", "avenida", "rua", "plaza", "piazza",
		"straat", "ulica", "the", "der", "den", "des", "del", "von", "van", "floor", "stock", "etage", "building", "gebaude", "unit"}
	siteKinds = append([]string{"headquarters", "headquarter", "head", "office", "main", "site", "zentrale", "hauptsitz", "sitz", "hauptstelle", "hauptverwaltung", "verwaltung", "standort", "siege", "sede",
		"plant", "werk", "factory", "fabrik", "building", "gebaude", "campus", "location", "branch", "niederlassung", "corporate", "central", "buro", "house", "haus", "hall", "halle",
		"lager", "warehouse", "logistik", "logistics", "logistikzentrum", "magazzino", "entrepot", "almacen", "magazijn", "rechenzentrum", "datacenter", "datacentre", "data", "center", "centre", "zentrum", "laboratorium", "lab", "laboratory",
		"usine", "fabbrica", "stabilimento", "fabrica", "planta", "fabriek", "vestiging", "filiale", "sucursal", "agence", "succursale", "store", "shop", "laden", "markt", "depot", "bureau", "oficina", "ufficio", "kantoor", "hospital",
		"krankenhaus", "klinik", "schule", "school"},
		"the", "der", "des", "our", "und", "and")
)

// place is what the key of a site says, read once.
type place struct {
	named           bool // by its name alone
	country, postal string
	town, street    words
}

// words are those of a name that tell it from others.
type words struct {
	all     string   // without spaces and numbers
	letters []string // words
	numbers []string // with the letter that follows one, if any
	script  *unicode.RangeTable
}

// readPlaces reads keys of sites, as this version writes them and as earlier ones did.
func readPlaces(keys []string) []place {
	out := make([]place, len(keys))
	for i, key := range keys {
		if name, named := strings.CutPrefix(key, siteNamed); named {
			out[i] = place{named: true, town: readWords(says(directionText(townText(name, readNames)), nowhere), siteKinds, true)}
			continue
		}
		f := append(strings.SplitN(key, "|", 4), "", "", "")
		out[i] = place{country: f[0], postal: codeOf(postalText(f[1])), town: readWords(says(townText(f[2], readNames), nowhere), townKinds, false),
			street: readWords(says(f[3], nowhere, boxes), streetKinds, false)}
	}
	return out
}

// directionText writes the directions in a name in one language.
func directionText(s string) string {
	words := strings.Fields(s)
	for i, w := range words {
		if d, ok := directions[w]; ok {
			words[i] = d
		}
	}
	return strings.Join(words, " ")
}

var directions = map[string]string{"nord": "north", "norte": "north", "noord": "north", "sud": "south", "sur": "south", "zuid": "south", "sul": "south", "ost": "east", "est": "east", "este": "east", "oost": "east",
	"ouest": "west", "ovest": "west", "oeste": "west", "mitte": "middle", "centro": "middle"}

// readWords reads the words of a text, without those of kinds and those of one or two letters, which are articles and cut short. In a name, any word
// with a digit and a letter by itself is a number ("Campus B"); else a letter by itself belongs to the number before it ("12 a").
func readWords(s string, kinds []string, name bool) (w words) {
	after := false
	for x := range strings.FieldsSeq(s) {
		tail := strings.TrimLeft(x, "0123456789")
		number := len(tail) < len(x) && len(tail) <= 1 || name && (len(x) == 1 || strings.ContainsAny(x, "0123456789"))
		switch {
		case number:
			w.numbers = append(w.numbers, strings.TrimLeft(x, "0"))
		case after && len(x) == 1:
			w.numbers[len(w.numbers)-1] += x
		default:
			w.all += x
			if w.script == nil {
				w.script = scriptOf(x)
			}
			if !slices.Contains(kinds, x) && (len(x) > 2 || x[0] >= utf8.RuneSelf) {
				w.letters = append(w.letters, x)
			}
		}
		after = number && tail == ""
	}
	return w
}

var scripts = []*unicode.RangeTable{unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Arabic, unicode.Hebrew, unicode.Thai, unicode.Devanagari}

func scriptOf(s string) *unicode.RangeTable {
	r, _ := utf8.DecodeRuneInString(s)
	for _, t := range scripts {
		if unicode.Is(t, r) {
			return t
		}
	}
	return nil
}

// apart reports whether two places are surely two: both are in countries, postal codes, streets or towns that cannot be one. Towns under one postal code are one,
// however they are called, and so is one house of one street and town under two codes, of which one is a slip. Of a place that is known by its name alone and one that is not, nobody can tell.
func (p *place) apart(q *place) bool {
	if p.named || q.named {
		return p.named && q.named && (p.town.otherNumbers(&q.town) || p.town.others(&q.town, false))
	}
	coded := p.postal != "" && q.postal != ""
	switch {
	case p.country != "" && q.country != "" && p.country != q.country:
		return true
	case coded && !strings.HasPrefix(p.postal, q.postal) && !strings.HasPrefix(q.postal, p.postal):
		return !p.sameHouse(q)
	case p.street.otherNumbers(&q.street), p.street.others(&q.street, true):
		return true
	}
	return !coded && p.town.others(&q.town, false)
}

// sameHouse reports whether two places say town, street and number, and say the same.
func (p *place) sameHouse(q *place) bool {
	return p.town.all != "" && p.street.all != "" && len(p.street.numbers) > 0 && p.town.all == q.town.all && p.street.all == q.street.all && slices.Equal(p.street.numbers, q.street.numbers)
}

// otherNumbers reports whether both have numbers, and neither has the other's first among its own.
func (w *words) otherNumbers(o *words) bool {
	if len(w.numbers) == 0 || len(o.numbers) == 0 {
		return false
	}
	has := func(list []string, n string) bool {
		return slices.ContainsFunc(list, func(m string) bool {
			if len(m) > len(n) {
				m, n = n, m
			}
			return m == n || len(n) == len(m)+1 && m != "" && strings.HasPrefix(n, m) && n[len(m)] > '9' // 12 and 12a, not 12a and 12b
		})
	}
	return !has(o.numbers, w.numbers[0]) && !has(w.numbers, o.numbers[0])
}

// others reports whether both have words that can be compared, and nothing in common. The words of a street are written together and apart.
func (w *words) others(o *words, street bool) bool {
	if len(w.letters) == 0 || len(o.letters) == 0 || w.script != o.script {
		return false
	}
	short, long := w.all, o.all
	if len(short) > len(long) {
		short, long = long, short
	}
	if short == long || street && len(short) > 3 && strings.Contains(long, short) {
		return false
	}
	return !slices.ContainsFunc(w.letters, func(x string) bool {
		return slices.ContainsFunc(o.letters, func(y string) bool { return nearWords(x, y, street) })
	})
}

// nearWords reports whether two words may be one with a slip in it, or, of streets, one and its beginning.
func nearWords(x, y string, street bool) bool {
	if len(x) > len(y) {
		x, y = y, x
	}
	if x == y || street && len(x) > 3 && strings.HasPrefix(y, x) {
		return true
	}
	if street {
		x, y = strings.TrimSuffix(x, "str"), strings.TrimSuffix(y, "str")
	}
	slips := 0
	switch n := min(len(x), len(y)); {
	case n > 8:
		slips = 2
	case n > 5:
		slips = 1
	}
	return slips > 0 && x[0] == y[0] && len(y)-len(x) <= slips && levenshtein.ComputeDistance(x, y) <= slips
}

// meetSites is meet, of the keys of sites: those of b that are not surely others than all of a.
func meetSites(a, b []string) (shared []string, meets bool) {
	if len(a) == 0 || len(b) == 0 {
		return meet(a, b)
	}
	mine := readPlaces(a)
	for i, y := range readPlaces(b) {
		if slices.ContainsFunc(mine, func(x place) bool { return !x.apart(&y) }) {
			shared = append(shared, b[i])
		}
	}
	return shared, len(shared) > 0
}
