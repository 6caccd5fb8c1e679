package match

import (
	"fmt"
	"math"
	"slices"
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
	fPostalSame
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
	fPostalSame: {"postal_code_same", "postal_code"}, fPostalNear: {"postal_code_near", "postal_code"}, fPostalOther: {"postal_code_other", "postal_code"},
	fDomainSame: {"domain_same", "domain"}, fDomainDice: {"domain_same_times_dice", "domain"}, fDomainOther: {"domain_other", "domain"}, fDomainName: {"domain_is_name", "domain"},
	fStreetSame: {"street_same", "street"}, fStreetOther: {"street_other", "street"}, fPhoneSame: {"phone_same", "phone"}, fPhoneOther: {"phone_other", "phone"},
	fTaxSame: {"tax_id_same", "tax_id"}, fTaxOther: {"tax_id_other", "tax_id"}, fDUNSSame: {"duns_same", "duns"}, fDUNSOther: {"duns_other", "duns"},
	fLEISame: {"lei_same", "lei"}, fLEIOther: {"lei_other", "lei"},
}

// vector holds the features of one pair.
type vector [featureCount]float64

// weights is weights.json: what each feature adds to the log-odds, and how log-odds become a probability.
type weights struct {
	Version  int                `json:"version"`
	Fitted   string             `json:"fitted"` // on what
	Bias     float64            `json:"bias"`
	Features map[string]float64 `json:"features"`
	// Rivals is what each unit of the logarithm of the rivals' odds takes away: a name three records bear is at most
	// a third of a match with each.
	Rivals float64 `json:"rivals"`
	// Calibration maps log-odds to calibrated log-odds through these points, straight between them and beyond.
	Calibration [][2]float64 `json:"calibration"`
	// Relation tells relatives from strangers, where two records are put side by side.
	Relation relationWeights `json:"relation"`

	vector vector
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
	if len(w.Calibration) < 2 || !slices.IsSortedFunc(w.Calibration, func(a, b [2]float64) int {
		if a[0] < b[0] && a[1] < b[1] {
			return -1
		}
		return 1
	}) {
		return fmt.Errorf("the calibration needs two or more rising points")
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

// probability calibrates log-odds.
func (w *weights) probability(z float64) float64 {
	c := w.Calibration
	i := 1
	for i < len(c)-1 && z > c[i][0] {
		i++
	}
	a, b := c[i-1], c[i]
	y := a[1] + float64((z-a[0])*(b[1]-a[1])/(b[0]-a[0]))
	return round(1 / (1 + math.Exp(-y)))
}

// round keeps six decimals, so that the last bits of a machine's arithmetic never reach a decision.
func round(x float64) float64 { return math.Round(x*1e6) / 1e6 }
