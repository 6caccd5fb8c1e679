package main

import "time"

// clock is what the service goes by. The harness of internal/chaos builds it with a clock that can be set.
func clock() time.Time { return time.Now() }
