package client

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Fingerprint returns an identifier of what r asks for, 32 hexadecimal digits. It
// covers the request as it is sent and the strings more. It covers r.Now only if
// nowGiven is set: a default now differs with each call and says nothing about the
// rows. Equal fingerprints make one export serve several requests.
func Fingerprint(r ExportRequest, nowGiven bool, more ...string) string {
	if !nowGiven {
		r.Now = ""
	}
	raw, err := json.Marshal(r.toAPI())
	if err != nil {
		panic(err) // it contains only strings
	}
	h := sha256.New()
	h.Write(raw)
	for _, m := range more {
		fmt.Fprintf(h, "\x00%s", m)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
