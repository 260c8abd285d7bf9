//go:build race

package health_test

func init() { raced = true }
