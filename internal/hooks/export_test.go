package hooks

// MayReach is mayReach, for tests.
var MayReach = mayReach

// Retries is retries, for tests.
var Retries = retries
