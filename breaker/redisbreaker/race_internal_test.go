//go:build race

package redisbreaker

func init() { raced = true }
