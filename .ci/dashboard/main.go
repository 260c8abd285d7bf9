// Dashboard checks files with dashboards against Grafana's own schema: every field is
// known, has the right type, and is there if Grafana requires it.
//
//	cd .ci/dashboard && go run . ../../examples/observe/dashboard.json
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

func main() {
	log.SetFlags(0)
	schema := cog.NewRuntime()
	schema.RegisterPanelcfgVariant(timeseries.VariantConfig())
	schema.RegisterPanelcfgVariant(statetimeline.VariantConfig())
	schema.RegisterDataqueryVariant(prometheus.VariantConfig())
	if len(os.Args) < 2 {
		log.Fatal("dashboard: want the names of files with dashboards")
	}
	for _, name := range os.Args[1:] {
		panels, err := check(name)
		if err != nil {
			log.Fatalf("%s is not a dashboard that Grafana takes:\n%v", name, err)
		}
		fmt.Printf("%s: %d panels, as Grafana's schema wants them\n", name, panels)
	}
}

// check returns how many panels the file has.
func check(name string) (panels int, err error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	// The schema knows nothing of a panel of a type that is not registered.
	var types struct {
		Panels []struct{ Title, Type string }
	}
	if err := json.Unmarshal(data, &types); err != nil {
		return 0, err
	}
	for _, p := range types.Panels {
		if _, known := cog.ConfigForPanelcfgVariant(p.Type); known {
			panels++
		} else if p.Type != "row" {
			return 0, fmt.Errorf("panel %q: type %q: register its schema in this program", p.Title, p.Type)
		}
	}
	if panels == 0 {
		return 0, errors.New("no panels")
	}
	var d dashboard.Dashboard
	// It returns a list of errors, which is not nil where it is empty.
	var list cog.BuildErrors
	if err := d.UnmarshalJSONStrict(data); !errors.As(err, &list) || len(list) > 0 {
		return 0, err
	}
	return panels, d.Validate()
}
