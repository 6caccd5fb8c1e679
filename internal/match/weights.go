package match

import (
	"fmt"
	"math"
)

// feature is one number a judgement is a weighted sum of.
type feature int

const (
	fDice feature = iota
	fDiceSquared
	fCoverMin
	fCoverMax
	fRare
	fDiceRare
	fFuzzy
	fSquash
	fSquashHigh
	fSquashNear
	fTrigram
	fExact
	fExactMass
	fWritten
	fBegins
	fOrder
	fFirst
	fCutShort
	fAcronym
	fMissQuery
	fMissRecord
	fMissBoth
	fLost
	fNumberClash
	fNumberOne
	fPlaces
	fPlaceMore
	fFormEqual
	fFormSame
	fFormOther
	fFormClash
	fPart
	fPartFirst
	fPartCut
	fAlias
	fCountrySame
	fCountryOther
	fRegionSame
	fRegionOther
	fCitySame
	fCityNear
	fCityOther
	fDiceCity
	fSquashCity
	fRareCity
	fMissCity
	fExactCityOther
	fPostalSame
	fRarePostal
	fMissPostal
	fPostalNear
	fPostalOther
	fDomainSame
	fDomainDice
	fDomainOther
	fDomainName
	fStreetSame
	fStreetOther
	fPhoneSame
	fPhoneOther
	fTaxSame
	fTaxOther
	fDUNSSame
	fDUNSOther
	fLEISame
	fLEIOther
	featureCount
)

// featureInfo names a feature in weights.json and says under which term a judgement reports it.
var featureInfo = [featureCount]struct{ name, term string }{
	fDice: {"name_dice", "name"}, fDiceSquared: {"name_dice_squared", "name"}, fCoverMin: {"name_cover_min", "name"}, fCoverMax: {"name_cover_max", "name"},
	fRare: {"name_rarest_shared", "name"}, fDiceRare: {"name_dice_times_rarest", "name"}, fFuzzy: {"name_inexact_share", "name"}, fSquash: {"name_letters", "name"},
	fSquashHigh: {"name_letters_above_0.8", "name"}, fSquashNear: {"name_letters_above_0.9", "name"}, fTrigram: {"name_trigrams", "name"}, fExact: {"name_equal", "name"}, fExactMass: {"name_equal_times_weight", "name"},
	fWritten: {"name_equal_as_written", "name"}, fBegins: {"name_beginning_as_written", "name"}, fOrder: {"name_other_order", "name"},
	fFirst: {"name_first_word", "name"}, fCutShort: {"name_cut_short", "name"}, fAcronym: {"acronym", "acronym"},
	fMissQuery: {"left_over_query", "left_over"}, fMissRecord: {"left_over_record", "left_over"}, fMissBoth: {"left_over_both", "left_over"}, fLost: {"left_over_sum", "left_over"},
	fNumberClash: {"numbers_differ", "numbers"}, fNumberOne: {"number_on_one_side", "numbers"}, fPlaces: {"places_differ", "places"}, fPlaceMore: {"place_on_one_side", "places"},
	fFormEqual: {"legal_form_equal", "legal_form"}, fFormSame: {"legal_form_same", "legal_form"}, fFormOther: {"legal_form_other", "legal_form"}, fFormClash: {"legal_form_other_country", "legal_form"},
	fPart: {"name_part", "which_name"}, fPartFirst: {"name_part_registered", "which_name"}, fPartCut: {"name_part_cut", "which_name"}, fAlias: {"name_alias", "which_name"},
	fCountrySame: {"country_same", "country"}, fCountryOther: {"country_other", "country"}, fRegionSame: {"region_same", "region"}, fRegionOther: {"region_other", "region"},
	fCitySame: {"city_same", "city"}, fCityNear: {"city_near", "city"}, fCityOther: {"city_other", "city"},
	fDiceCity: {"city_same_times_dice", "city"}, fSquashCity: {"city_same_times_letters_above_0.8", "city"},
	fRareCity: {"city_same_times_rarest", "city"}, fMissCity: {"city_same_times_left_over", "city"}, fExactCityOther: {"city_other_times_name_equal", "city"},
	fPostalSame: {"postal_code_same", "postal_code"}, fRarePostal: {"postal_code_same_times_rarest", "postal_code"}, fMissPostal: {"postal_code_same_times_left_over", "postal_code"}, fPostalNear: {"postal_code_near", "postal_code"}, fPostalOther: {"postal_code_other", "postal_code"},
	fDomainSame: {"domain_same", "domain"}, fDomainDice: {"domain_same_times_dice", "domain"}, fDomainOther: {"domain_other", "domain"}, fDomainName: {"domain_is_name", "domain"},
	fStreetSame: {"street_same", "street"}, fStreetOther: {"street_other", "street"}, fPhoneSame: {"phone_same", "phone"}, fPhoneOther: {"phone_other", "phone"},
	fTaxSame: {"tax_id_same", "tax_id"}, fTaxOther: {"tax_id_other", "tax_id"}, fDUNSSame: {"duns_same", "duns"}, fDUNSOther: {"duns_other", "duns"},
	fLEISame: {"lei_same", "lei"}, fLEIOther: {"lei_other", "lei"},
}

// vector holds the features of one pair.
type vector [featureCount]float64

// weights is weights.json: what each feature adds to the log-odds, and how log-odds become a probability.
type weights struct {
	Name     string             `json:"name,omitempty"` // empty: organisations
	Version  int                `json:"version"`
	Fitted   string             `json:"fitted"`          // on what
	Lists    string             `json:"lists,omitempty"` // digest of the word lists it was fitted with
	Bias     float64            `json:"bias"`
	Features map[string]float64 `json:"features"`
	// Rivals is what each unit of the logarithm of the rivals' odds takes away: a name three records bear is at most
	// a third of a match with each.
	Rivals float64 `json:"rivals"`
	// Calibration maps log-odds to calibrated log-odds through these points, straight between them and beyond.
	Calibration curve `json:"calibration"`
	// Calibrations are those of pairs of one script and one set of fields that both records have, by kindOf. Where there
	// is none, Calibration holds.
	Calibrations map[string]curve `json:"calibrations,omitempty"`
	// Relation tells relatives from strangers, where two records are put side by side.
	Relation relationWeights `json:"relation"`

	vector vector
}

// curve is a rising line through points.
type curve [][2]float64

func (c curve) rises() bool {
	for i := 1; i < len(c); i++ {
		if c[i][0] <= c[i-1][0] || c[i][1] <= c[i-1][1] {
			return false
		}
	}
	return len(c) >= 2
}

// at returns the height of the curve.
func (c curve) at(z float64) float64 {
	i := 1
	for i < len(c)-1 && z > c[i][0] {
		i++
	}
	a, b := c[i-1], c[i]
	return a[1] + float64((z-a[0])*(b[1]-a[1])/(b[0]-a[0]))
}

// kindOf says what a pair's likeness rests on: the scripts of the names, and whether both records have an identifier or a
// domain, a place, or neither. The same log-odds are worth more or less by it. Only the best of a search is of a kind, for that is what the
// calibrations were learnt from: it says little of what people put side by side, or of one registration among many of a customer.
func kindOf(e *evidence, in setting) string {
	if in != ranked {
		return ""
	}
	v := &e.v
	fields := 0
	switch {
	case v[fTaxSame]+v[fTaxOther]+v[fDUNSSame]+v[fDUNSOther]+v[fLEISame]+v[fLEIOther]+v[fDomainSame]+v[fDomainOther] > 0:
		fields = 2
	case v[fCountrySame]+v[fCountryOther]+v[fRegionSame]+v[fRegionOther]+v[fCitySame]+v[fCityNear]+v[fCityOther] > 0:
		fields = 1
	}
	script := 0
	switch a, b := isLatin(e.a.display), isLatin(e.b.display); {
	case a != b:
		script = 1
	case !a:
		script = 2
	}
	return kinds[script][fields]
}

// kinds are those of pairs, by script and by the fields that both have.
var kinds = [3][3]string{
	{"latin name", "latin place", "latin identifier"},
	{"mixed name", "mixed place", "mixed identifier"},
	{"other name", "other place", "other identifier"},
}

// written puts the weights under their names, with four decimals.
func (w *weights) written() {
	w.Features = map[string]float64{}
	for i, info := range featureInfo {
		w.vector[i] = math.Round(w.vector[i]*1e4) / 1e4
		w.Features[info.name] = w.vector[i]
	}
	w.Bias = math.Round(w.Bias*1e4) / 1e4
}

func (w *weights) check() error {
	for f, info := range featureInfo {
		v, ok := w.Features[info.name]
		if !ok {
			return fmt.Errorf("no weight for %s", info.name)
		}
		w.vector[f] = v
	}
	if len(w.Features) != int(featureCount) {
		return fmt.Errorf("%d weights for %d features", len(w.Features), featureCount)
	}
	if err := w.Relation.check(); err != nil {
		return err
	}
	if w.Version < 1 {
		return fmt.Errorf("the version is %d, not 1 or more", w.Version)
	}
	if !w.Calibration.rises() {
		return fmt.Errorf("the calibration needs two or more rising points")
	}
	for kind, c := range w.Calibrations {
		if !c.rises() {
			return fmt.Errorf("the calibration of %s needs two or more rising points", kind)
		}
	}
	return nil
}

// logit returns the log-odds of a pair before rivals and calibration.
func (w *weights) logit(v *vector) float64 {
	z := w.Bias
	for i := range v {
		z += float64(v[i] * w.vector[i]) // the conversion forbids a fused multiply-add, which rounds differently per machine
	}
	return z
}

// probability calibrates the log-odds of a pair of a kind.
func (w *weights) probability(z float64, kind string) float64 {
	return round(1 / (1 + math.Exp(-w.calibrated(z, kind))))
}

// calibrated returns calibrated log-odds.
func (w *weights) calibrated(z float64, kind string) float64 {
	if own := w.Calibrations[kind]; own != nil {
		return own.at(z)
	}
	return w.Calibration.at(z)
}

// before returns the log-odds that calibration makes a probability of, for a pair of a kind.
func (w *weights) before(p float64, kind string) float64 {
	c := w.Calibration
	if own := w.Calibrations[kind]; own != nil {
		c = own
	}
	h, i := math.Log(p/(1-p)), 1
	for i < len(c)-1 && h > c[i][1] {
		i++
	}
	a, b := c[i-1], c[i]
	return a[0] + float64((h-a[1])*(b[0]-a[0])/(b[1]-a[1]))
}

// round keeps six decimals, so that the last bits of a machine's arithmetic never reach a decision.
func round(x float64) float64 { return math.Round(x*1e6) / 1e6 }
