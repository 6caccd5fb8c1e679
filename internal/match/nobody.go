package match

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// What people write where the name of the customer is asked for and they have none, or do not want to give it, in the languages of most
// filings (en, de, fr, es, it, nl, pt, pl), folded as Normalise folds.
//
//nolint:misspell // of other languages
var (
	// hiding words say that there is no name, or none to be told.
	hiding = setOf(`test na unknown tbd tba tbc xxx xx none null nil nn various misc other anonymous asdf foo dummy confidential undisclosed unnamed unspecified
		redacted withheld stealth placeholder
		unbekannt unbekannter unbekannte unbekanntes vertraulich vertraulicher vertrauliche vertrauliches geheim geheimer anonym anonymer ungenannt ungenannter ka
		confidentiel confidentielle inconnu inconnue anonyme
		confidencial anonimo desconocido desconocida secreto
		confidenziale riservato riservata sconosciuto sconosciuta ignoto
		vertrouwelijk vertrouwelijke onbekend onbekende anoniem anonieme geheime ntb
		desconhecido desconhecida sigiloso sigilosa
		poufny poufna poufne poufnie nieznany nieznana tajny anonimowy brak`)

	// someone is what anybody's customer is called.
	someone = setOf(`customer customers client clients endcustomer endcustomers endclient enduser endusers user account accounts company organisation organization buyer
		kunde kunden endkunde endkunden endanwender auftraggeber interessent unternehmen
		societe entreprise cliente clientes empresa azienda societa klant eindklant eindgebruiker bedrijf klient kliencie`)

	// beside are words that stand with these, and name nobody with them; alone they may be a name.
	beside = setOf(`end final finale finaux koncowy eindelijke named new potential existing our large big top private target key name secret hidden is first nda
		diverse divers varios vari neuer neue unser potenzieller name der die das
		nouveau nom nuevo nuevo potencial nombre nuovo nome potenziale nieuwe potentiele naam novo nowy potencjalny nazwa`)

	// alone are words that name somebody as soon as another stands with them.
	alone = setOf(`prospect firma folgt follows`)

	// evasions are the same in several words, written as one.
	evasions = setOf(`notavailable notapplicable notdisclosed notknown notyetknown notspecified notgiven notprovided notyetdisclosed undernda cannotdisclose cantdisclose
		tobedefined tobedetermined tobeannounced tobeconfirmed tobedisclosed tobenamed tobeadvised tobeprovided toconfirm toannounce
		nochunbekannt nochoffen nichtbekannt nichtgenannt nochnichtbekannt keineangabe keineangaben wirdnachgereicht folgtnoch wirdnochbekanntgegeben wirdnochbenannt zubestimmen
		siehebeschreibung sieheanlage sieheanhang siehetext sieheoben sieheunten siehebemerkung seedescription seeattachment seeattached seeabove seebelow seenotes voirdescription voirannexe verdescripcion veranexo vediallegato ziebijlage
		adefinir adeterminer apreciser aconfirmer acommuniquer noncommunique nonprecise nondivulgue nondefini nonconnu
		pordefinir pordeterminar porconfirmar poranunciar nodisponible noaplica noespecificado sinnombre aconfirmar adeterminar
		dadefinire dadeterminare daconfermare dacomunicare nondisponibile nonapplicabile nonspecificato
		nogtebepalen nadertebepalen nogonbekend nogniet nognietbekend nietbekend nietvantoepassing
		naodisponivel naoinformado naoaplicavel semnome
		doustalenia dopotwierdzenia douzupelnienia niedotyczy niepodano nieujawniono`)
)

// hides reports whether words, without their legal forms, stand where a name would and are none.
func hides(w []*lexeme) bool {
	squash := joined(w, "")
	if len(squash) >= 5 && strings.Trim(squash, "0123456789") == "" { // a number of the portal's
		return true
	}
	if hiding[squash] || someone[squash] || alone[squash] || evasions[squash] {
		return true
	}
	told, rest := false, "" // rest is what no list has, up to here: an evasion in several words
	for i, l := range w {
		switch {
		case rest == "" && (hiding[l.text] || someone[l.text]):
			told = true
		case rest == "" && (beside[l.text] || told && alone[l.text] || told && i == len(w)-1 && counts(l.text)): // customer A, Kunde 4711
		default:
			if rest += l.text; evasions[rest] {
				told, rest = true, ""
			}
		}
	}
	return told && rest == ""
}

// counts reports whether a word tells one of several from the others, and says nothing else.
func counts(w string) bool {
	return utf8.RuneCountInString(w) == 1 || strings.Trim(w, "0123456789") == ""
}

// Names reports whether a text can be the name of an organisation: more than legal forms, a single letter, or one of the
// words that stand where somebody had no name to give. A few real organisations are called like that.
func (m *Model) Names(raw string) bool { return (&preparer{m: m}).isName(raw) }

func (p *preparer) isName(raw string) bool {
	w := p.cut(raw)
	if !slices.ContainsFunc(w, func(l *lexeme) bool { return !bareForms[l.text] }) {
		return false
	}
	core, form := p.core(w)
	squash := joined(core, "")
	return !hides(core) && (utf8.RuneCountInString(squash) >= 2 || form != 0 || hasHan(squash))
}
