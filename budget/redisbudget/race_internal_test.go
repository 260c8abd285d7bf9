//go:build race

package redisbudget

func init() { raced = true }
