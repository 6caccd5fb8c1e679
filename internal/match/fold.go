package match

import (
	"encoding/binary"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"github.com/mozillazg/go-unidecode"
	"golang.org/x/text/unicode/norm"

	"github.com/dibs-deals/dibs/internal/deal"
)

// maxWords bounds the words of one name, and so the work one hostile name can cause.
const maxWords = 24

// Normalise returns the words of s as they are compared: lower case, without accents and punctuation, spaced initials
// joined, separated by single spaces. Other scripts stay in their own letters. It is idempotent.
func Normalise(s string) string { return strings.Join(words(s), " ") }

// special letters have no decomposition in Unicode but a customary spelling in plain letters.
var special = map[rune]string{'ß': "ss", 'ø': "o", 'ł': "l", 'æ': "ae", 'œ': "oe", 'đ': "d", 'ð': "d", 'þ': "th", 'ı': "i", 'ħ': "h", 'ŧ': "t", 'ŋ': "n", 'ĸ': "k"}

// words folds s and cuts it into words.
func words(s string) []string {
	if isASCII(s) {
		return wordsASCII(s)
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, " ")
	}
	if s = foldLetters(s); isASCII(s) {
		return wordsASCII(s)
	}
	// Room for each rune and the spaces and the words that signs become.
	b := make([]byte, 0, len(s)+16)
	for i, r := range s {
		after := s[i+utf8.RuneLen(r):]
		switch {
		case r == '\'' || r == '’' || r == '`' || r == '´' || r == 'ʼ':
			// an apostrophe joins: O'Neil is oneil
		case r == '.' && (lastRun(b) < 2 || runLength(after) < 2) && lastRun(b) > 0:
			// dotted initials join (U.S., Sh.p.k.); any other full stop separates
		case r == '&' || r == '+':
			// initials around a sign are one word (AT&T, R&D); elsewhere the sign reads "and"
			if n := runLength(after); !(lastRun(b) > 0 && lastRun(b) <= 2 && n > 0 && n <= 2) {
				b = append(b, " and "...)
			}
		case isWord(r):
			b = utf8.AppendRune(b, r)
		case r == '%' && lastRun(b) > 0:
			b = append(b, " percent"...)
		default:
			b = append(b, ' ')
		}
	}
	w := strings.Fields(string(b))
	return tidied(w, scripts(w))
}

// wordsASCII is words of a text that has no other characters.
func wordsASCII(s string) []string {
	var room [maxWords]int
	f := folding{letters: make([]byte, 0, len(s)+16), ends: room[:0]}
	odd := f.add(s)
	w := f.words(make([]string, 0, len(f.ends)), 0)
	if odd {
		w = tidied(w, 0)
	}
	return w
}

// folding is the words of ASCII texts: one after another, and where each ends.
type folding struct {
	letters []byte
	ends    []int
}

func (f *folding) reset() { f.letters, f.ends = f.letters[:0], f.ends[:0] }

// words appends the words from one on to w. They share the memory of f.
func (f *folding) words(w []string, from int) []string {
	all, at := unsafe.String(unsafe.SliceData(f.letters), len(f.letters)), 0
	if from > 0 {
		at = f.ends[from-1]
	}
	for _, end := range f.ends[from:] {
		w = append(w, all[at:end])
		at = end
	}
	return w
}

// add adds the words of s, which has no other characters. It does what words does for any, but for tidied, and reports whether that
// would find something to do.
func (f *folding) add(s string) bool {
	b, ends := f.letters, f.ends
	run, odd := 0, byte(0) // letters and digits of the word at the end of b
	end := func() {
		if run > 0 {
			ends = append(ends, len(b))
			if run == 1 {
				odd = zeroOneBit
			}
			run = 0
		}
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if l := plainLetters[c]; l != 0 {
			b = append(b, l&^zeroOneBit)
			odd |= l
			run++
			continue
		}
		switch {
		case c == '\'' || c == '`':
		case c == '.' && run > 0 && (run < 2 || plainRun(s[i+1:], 2) < 2):
		case c == '&' || c == '+':
			if n := plainRun(s[i+1:], 3); !(run > 0 && run <= 2 && n > 0 && n <= 2) {
				end()
				b = append(b, "and"...)
				ends = append(ends, len(b))
			}
		case c == '%' && run > 0:
			end()
			b = append(b, "percent"...)
			run = len("percent")
		default:
			end()
		}
	}
	end()
	f.letters, f.ends = b, ends
	return odd&zeroOneBit != 0
}

// zeroOneBit marks in plainLetters the digits that may be disguises.
const zeroOneBit = 0x80

// plainLetters are the ASCII letters, small, and digits; 0 for the rest.
var plainLetters = func() (out [256]byte) {
	for c := range utf8.RuneSelf {
		switch {
		case c >= 'A' && c <= 'Z':
			out[c] = byte(c) + 'a' - 'A'
		case c == '0' || c == '1':
			out[c] = byte(c) | zeroOneBit
		case isWord(rune(c)):
			out[c] = byte(c)
		}
	}
	return out
}()

// plainRun returns how many letters and digits begin s, up to enough.
func plainRun(s string, enough int) (n int) {
	for n < len(s) && n < enough && plainLetters[s[n]] != 0 {
		n++
	}
	return n
}

// tidied undoes disguises and joins initials. script is that of the words together. It overwrites w.
func tidied(w []string, script int) []string {
	initials := false
	for i, t := range w {
		if script != 0 || zeroOrOne(t) {
			w[i] = skeleton(t, script)
		}
		initials = initials || len(w[i]) == 1
	}
	if !initials {
		return w
	}
	w = joinInitials(w)
	for i := range w { // what initials have become may hold a zero between letters
		w[i] = skeleton(w[i], script)
	}
	return w
}

func isWord(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z'
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.M, r)
}

// lastRun returns how many word runes end b.
func lastRun(b []byte) int {
	n := 0
	for len(b) > 0 {
		r, size := utf8.DecodeLastRune(b)
		if r == ' ' {
			break
		}
		n++
		b = b[:len(b)-size]
	}
	return n
}

// runLength returns how many word runes begin s.
func runLength(s string) int {
	n := 0
	for _, r := range s {
		if !isWord(r) {
			break
		}
		n++
	}
	return n
}

// foldLetters lower-cases s, decomposes compatibility forms and drops accents.
func foldLetters(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	if b, ok := foldEuropean(make([]byte, 0, len(s)+8), s); ok {
		return string(b)
	}
	return foldAny(s)
}

// foldEuropean appends s folded to b, if all its letters are of Europe.
func foldEuropean(b []byte, s string) ([]byte, bool) {
	for _, r := range s {
		switch {
		case r < utf8.RuneSelf:
			if r >= 'A' && r <= 'Z' {
				r += 'a' - 'A'
			}
			b = append(b, byte(r))
		case r >= firstFolded && r < lastFolded:
			b = append(b, folded[r-firstFolded]...)
		default:
			return b, false
		}
	}
	return b, true
}

// The letters of Europe fold one by one: none of them joins with another.
const (
	firstFolded = 0x80
	lastFolded  = 0x250
)

var folded = func() (out [lastFolded - firstFolded]string) {
	for i := range out {
		out[i] = foldAny(string(rune(firstFolded + i)))
	}
	return out
}()

// foldAny is foldLetters of any text.
func foldAny(s string) string {
	var b strings.Builder
	b.Grow(len(s) + 8)
	for _, r := range norm.NFKD.String(strings.ToLower(norm.NFKC.String(s))) {
		if isAccent(r) || unicode.Is(unicode.Cf, r) || r == tatweel {
			continue
		}
		if t, ok := special[r]; ok {
			b.WriteString(t)
			continue
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return norm.NFC.String(b.String())
}

// tatweel lengthens an Arabic word to fill a line.
const tatweel = '\u0640'

// Disguised says in words how a name was written to look like another to a reader and not to a program, or nothing: letters of another
// script inside a Latin word, or characters that are not seen. Both are undone before names are compared.
func Disguised(raw string) string {
	if isASCII(raw) {
		return ""
	}
	letter := func(r rune) bool { return r < 0x250 && unicode.IsLetter(r) }
	own, before := 0, ' '
	for _, r := range strings.ToLower(raw) {
		switch {
		case r == '\u200b' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069':
			return "invisible characters in the name"
		case unicode.Is(unicode.Cf, r):
			if r != '\u00ad' && letter(before) {
				return "invisible characters in the name"
			}
			continue
		case letter(r):
			own |= latin
		case lookalikes[r] != 0:
			own |= lookalike
		case unicode.IsLetter(r):
			own |= otherScript
		case !isWord(r):
			own = 0
		}
		if own&latin != 0 && own&(lookalike|otherScript) == lookalike {
			return "letters of another script that look Latin"
		}
		before = r
	}
	return ""
}

// isAccent reports marks that a careless writer leaves out. Marks that are vowels (Thai, Indic) stay.
func isAccent(r rune) bool {
	return r >= 0x300 && r <= 0x36f || r >= 0x591 && r <= 0x5c7 || r >= 0x64b && r <= 0x65f || r == 0x670 || r >= 0x1ab0 && r <= 0x1aff
}

// divides are the initials that stand between two names of one organisation.
var divides = map[string]bool{"dba": true, "fka": true, "aka": true, "nka": true}

// joinInitials joins runs of single letters and digits: "l e k consulting", "3 m company", "texas a and m". A lone single stays, but an
// s after a word was its possessive before somebody replaced the apostrophe by a space.
func joinInitials(w []string) []string {
	single := func(s string) bool { return len(s) == 1 }
	out := w[:0]
	for i := 0; i < len(w); {
		j, letter := i, false
		for j < len(w) && single(w[j]) {
			letter = letter || w[j][0] >= 'a'
			j++
		}
		if j-i > 3 && divides[strings.Join(w[i:i+3], "")] {
			j = i + 3 // what follows is another name: "d b a r & b partners"
		}
		if j-i == 1 && letter && j+1 < len(w) && w[j] == "and" && single(w[j+1]) && w[j+1][0] >= 'a' && (j+2 == len(w) || !single(w[j+2])) {
			out = append(out, w[i]+w[j+1]) // as they are around a sign
			i = j + 2
			continue
		}
		if j-i >= 2 && letter {
			out = append(out, strings.Join(w[i:j], ""))
			i = j
			continue
		}
		if n := len(out); w[i] == "s" && (i+1 == len(w) || w[i+1] != "de") && n > 0 && len(out[n-1]) >= 3 && isLower(out[n-1][len(out[n-1])-1]) {
			out[n-1] += "s"
			i++
			continue
		}
		out = append(out, w[i])
		i++
	}
	return out
}

// lookalikes are the letters of other scripts drawn like Latin ones.
var lookalikes = deal.Homoglyphs

const (
	latin = 1 << iota
	lookalike
	otherScript
)

// scripts says which of Latin and other scripts occur in the words.
func scripts(w []string) (set int) {
	for _, s := range w {
		for _, r := range s {
			switch {
			case r < 0x250 && unicode.IsLetter(r):
				set |= latin
			case lookalikes[r] != 0:
				set |= lookalike
			case unicode.IsLetter(r):
				set |= otherScript
			}
		}
	}
	return set
}

// skeleton undoes letters swapped for their look-alikes, which pass a reader's eye and an equality check: a word that
// mixes scripts, or is drawn wholly like Latin among Latin words; a zero or one between letters.
func skeleton(w string, name int) string {
	if name&lookalike != 0 && name&latin != 0 {
		if own := scripts([]string{w}); own&lookalike != 0 && own&otherScript == 0 {
			w = strings.Map(func(r rune) rune {
				if l := lookalikes[r]; l != 0 {
					return l
				}
				return r
			}, w)
		}
	}
	if zeroOrOne(w) {
		b := []byte(w)
		for i := 1; i+1 < len(b); i++ {
			if b[i] != '0' && b[i] != '1' {
				continue
			}
			j := i // the end of a run of one digit, as in g00gle
			for j+1 < len(b) && b[j+1] == b[i] {
				j++
			}
			if j+1 < len(b) && isLower(b[i-1]) && isLower(b[j+1]) {
				as := byte('o')
				if b[i] == '1' {
					as = 'l'
				}
				for ; i <= j; i++ {
					b[i] = as
				}
			}
			i = j
		}
		w = string(b)
	}
	return w
}

func zeroOrOne(w string) bool {
	for i := 1; i+1 < len(w); i++ {
		if w[i]|1 == '1' {
			return true
		}
	}
	return false
}

// isLatin reports whether all letters of s are Latin ones.
func isLatin(s string) bool {
	return isASCII(s) || strings.IndexFunc(s, func(r rune) bool { return unicode.IsLetter(r) && !unicode.Is(unicode.Latin, r) }) < 0
}

func isLower(c byte) bool { return c >= 'a' && c <= 'z' }

// isHan reports the scripts written without spaces between words whose names are compared by pairs of characters.
func isHan(r rune) bool {
	return r >= firstHan && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) || r == 'ー'
}

// isAbjad reports the scripts that write consonants alone.
func isAbjad(r rune) bool { return r >= 0x590 && unicode.In(r, unicode.Arabic, unicode.Hebrew) }

// consonants returns what an abjad would keep of a word in Latin letters, those that it does not tell apart as one.
func consonants(w string) string {
	b := make([]byte, 0, 16)
	for i := 0; i < len(w) && len(b) < cap(b); i++ {
		c := w[i]
		switch c {
		case 'a', 'e', 'i', 'o', 'u', 'y', 'w', 'h':
			continue
		case 'c', 'q', 'x':
			c = 'k'
		case 'p':
			c = 'b'
		case 'v':
			c = 'f'
		case 'g':
			c = 'j'
		case 'z':
			c = 's'
		}
		if n := len(b); n == 0 || b[n-1] != c {
			b = append(b, c)
		}
	}
	return string(b)
}

// firstHan is the first character of these scripts, a radical.
const firstHan = 0x2e80

// hasHan reports whether any rune of w is written without spaces.
func hasHan(w string) bool { return !isASCII(w) && strings.IndexFunc(w, isHan) >= 0 }

// greekSounds writes Greek as it is spoken, by ELOT 743 (ISO 843, type 2): the way Greek companies write their names abroad.
var greekSounds = strings.NewReplacer("ου", "ou", "αυ", "av", "ευ", "ev", "γγ", "ng", "γχ", "nch", "α", "a", "β", "v", "γ", "g", "δ", "d", "ε", "e", "ζ", "z",
	"η", "i", "θ", "th", "ι", "i", "κ", "k", "λ", "l", "μ", "m", "ν", "n", "ξ", "x", "ο", "o", "π", "p", "ρ", "r", "σ", "s", "ς", "s", "τ", "t", "υ", "y", "φ", "f",
	"χ", "ch", "ψ", "ps", "ω", "o")

// ukrainianSounds writes those letters of Ukrainian that Russian reads otherwise, by the table of 2010 that Ukrainian companies use.
var ukrainianSounds = strings.NewReplacer("и", "y", "і", "i", "ї", "i", "є", "ie", "ґ", "g", "г", "h", "й", "i")

// romanise writes a word of any script in plain Latin letters, as one word.
func romanise(w string) string {
	if isASCII(w) {
		return w
	}
	var b strings.Builder
	w = greekSounds.Replace(w)
	if strings.ContainsAny(w, "іїєґ") {
		w = ukrainianSounds.Replace(w)
	}
	for _, r := range strings.ToLower(unidecode.Unidecode(w)) {
		if r < utf8.RuneSelf && isWord(r) {
			b.WriteRune(r)
		}
	}
	if b.Len() == 0 {
		return w // letters nobody has romanised stay as they are
	}
	return b.String()
}

func isASCII(s string) bool {
	const high = 0x8080808080808080
	for ; len(s) >= 8; s = s[8:] {
		if binary.LittleEndian.Uint64([]byte(s[:8]))&high != 0 {
			return false
		}
	}
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// bigrams cuts a run of characters into overlapping pairs; a single character stands alone.
func bigrams(w string) []string {
	r := []rune(w)
	if len(r) < 2 {
		return []string{w}
	}
	out := make([]string, 0, len(r)-1)
	for i := 0; i+1 < len(r); i++ {
		if p := string(r[i : i+2]); !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}
