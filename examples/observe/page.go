package main

import (
	_ "embed"
	"net/http"
	"net/http/httputil"
	"net/url"
)

//go:embed page.html
var pageHTML []byte

//go:embed dashboard.json
var dashboardJSON []byte

// drawPanels adds a page that draws the panels of dashboard.json with the data of a
// Prometheus, whose API it passes on.
func drawPanels(mux *http.ServeMux, prometheus string) {
	serve := func(contentType string, content []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.Write(content)
		}
	}
	mux.Handle("GET /{$}", serve("text/html; charset=utf-8", pageHTML))
	mux.Handle("GET /dashboard.json", serve("application/json", dashboardJSON))
	mux.Handle("GET /api/v1/query_range", httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: prometheus}))
}
