package redisstore

import (
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
)

// A script is executed by Redis as one step. Each has the same effect once or many
// times for one owner, so the client may repeat it if a reply is lost.
type script struct{ source, sha string }

//go:embed begin.lua
var beginSource string

//go:embed renew.lua
var renewSource string

//go:embed finish.lua
var finishSource string

//go:embed release.lua
var releaseSource string

// scripts are those of the four methods of a store.
var scripts = struct{ begin, renew, finish, release script }{
	begin: newScript(beginSource), renew: newScript(renewSource),
	finish: newScript(finishSource), release: newScript(releaseSource),
}

func newScript(source string) script {
	sum := sha1.Sum([]byte(source))
	return script{source: source, sha: hex.EncodeToString(sum[:])}
}
