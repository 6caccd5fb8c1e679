package hooks

// MayReach is mayReach, for tests.
var MayReach = mayReach
