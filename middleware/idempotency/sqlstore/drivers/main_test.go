package drivers_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/lib/pq"
	_ "modernc.org/sqlite"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		fmt.Fprintln(os.Stderr, childMain())
		os.Exit(1)
	}
	// These tests wait for databases nearly all of their time.
	flag.Parse()
	flag.Set("test.parallel", "6")
	code := m.Run()
	postgres.stop()
	mysql.stop()
	os.Exit(code)
}
