package drivers_test

import (
	"database/sql"
	"path/filepath"
)

var postgres = &server{
	name: "postgres", must: "EVENKEEL_POSTGRES", user: "postgres",
	find: func() ([]string, error) {
		return programs([]string{"initdb", "postgres"}, "/usr/lib/postgresql/*/bin", "/usr/local/opt/postgresql*/bin")
	},
	prepare: func(programs []string, dir, _ string) []string {
		return []string{programs[0], "-D", dir, "-U", "evenkeel", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"}
	},
	serve: func(programs []string, dir, port string) []string {
		return []string{programs[1], "-D", dir, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
			"-c", "fsync=off", "-c", "max_connections=500"}
	},
	open: func(addr string) (*sql.DB, error) { return sql.Open("pgx", postgresURL(addr)) },
}

func postgresURL(addr string) string {
	return "postgres://evenkeel@" + addr + "/postgres?sslmode=disable"
}

var mysql = &server{
	name: "mysql", must: "EVENKEEL_MYSQL", user: "mysql",
	find: func() ([]string, error) {
		return programs([]string{"mariadb-install-db", "mariadbd"}, "/usr/sbin", "/usr/local/sbin")
	},
	prepare: func(programs []string, dir, _ string) []string {
		return []string{programs[0], "--no-defaults", "--datadir=" + dir, "--auth-root-authentication-method=normal", "--skip-test-db"}
	},
	serve: func(programs []string, dir, port string) []string {
		return []string{programs[1], "--no-defaults", "--datadir=" + dir, "--port=" + port, "--bind-address=127.0.0.1",
			"--socket=" + filepath.Join(dir, "socket"), "--skip-grant-tables", "--innodb-flush-log-at-trx-commit=0",
			"--innodb-buffer-pool-size=64M", "--max-connections=500"}
	},
	open: func(addr string) (*sql.DB, error) { return sql.Open("mysql", mysqlDSN(addr)) },
}

func mysqlDSN(addr string) string { return "root@tcp(" + addr + ")/mysql" }
