// Package territory answers which territories cover a customer, which of them wins, and why.
//
// A plan is a YAML document of territories: where they are (country, region, postal code), what they hold (industry,
// size, product line, named accounts), since when and until when, who covers them and who answers for them. A
// territory covers a customer when everything it asks for is known and fits, and none of its exclusions does. What
// is not known of a customer matches only territories that do not ask for it; TerritoryResult.Unknown names the
// fields that could have changed the answer.
//
// Of several that cover a customer the winner is the one of the earlier tier, then of the higher priority, then the
// narrower one (named accounts, then the one that asks for more), then the first by id. When only the id would decide between
// territories that answer differently, the result is ambiguous: the alphabet is no business reason.
//
// A registration for several product lines is resolved line by line, and one that names none is for all of them.
// When lines lead to different owners or coverages, the result is ambiguous.
//
// Check proves a plan: that nobody of its universe is left out, that no two territories of a tier cover the same
// customer, and that every territory can win; or shows a customer for whom it is not so. It is exact: every dimension is cut
// into classes no territory tells apart, and a decision diagram goes through their combinations.
//
// Lookup is by bitmaps: every value of every dimension has one bit per territory, in the order of precedence, so the
// first bit set in all of them is the winner. A lookup of the winner allocates nothing and takes well under a microsecond
// among ten thousand territories. A Plan is immutable and safe for concurrent use.
package territory
