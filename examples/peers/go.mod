module github.com/datapunk/evenkeel/examples/peers

go 1.26.0

replace github.com/datapunk/evenkeel => ../..

require (
	github.com/PuerkitoBio/rehttp v1.4.0
	github.com/datapunk/evenkeel v0.0.0
	github.com/failsafe-go/failsafe-go v0.9.8
	github.com/hashicorp/go-retryablehttp v0.7.8
	github.com/sony/gobreaker/v2 v2.4.0
	golang.org/x/sys v0.50.0
	golang.org/x/time v0.16.0
)

require (
	github.com/bits-and-blooms/bitset v1.24.4 // indirect
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	github.com/influxdata/tdigest v0.0.1 // indirect
)
