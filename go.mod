module github.com/dibs-deals/dibs

go 1.26.0

require (
	github.com/alecthomas/kong v1.17.0
	github.com/oklog/ulid/v2 v2.1.2
	github.com/shopspring/decimal v1.6.0
	golang.org/x/text v0.43.0
)

require github.com/google/go-cmp v0.7.0
