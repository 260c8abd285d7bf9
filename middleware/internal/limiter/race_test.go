//go:build race

package limiter

func init() { raced = true }
