//go:build race

package fleet

func init() { raced = true }
