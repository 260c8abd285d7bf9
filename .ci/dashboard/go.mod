// A module of its own, so that nobody who uses the library gets Grafana's.
module github.com/datapunk/evenkeel/.ci/dashboard

go 1.26.0

require github.com/grafana/grafana-foundation-sdk/go v0.0.22
