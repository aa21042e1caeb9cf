package mirror

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// errNoKeys is that credentials are nowhere.
var errNoKeys = errors.New("no credentials")

// findKeys returns the credentials of the environment, or those that are looked
// for when the first request is made.
func findKeys(getenv func(string) string) (*credentials.Credentials, error) {
	if getenv == nil {
		getenv = os.Getenv
	}
	id, secret := getenv("AWS_ACCESS_KEY_ID"), getenv("AWS_SECRET_ACCESS_KEY")
	switch {
	case id != "" && secret != "":
		return credentials.NewStaticV4(id, secret, getenv("AWS_SESSION_TOKEN")), nil
	case id != "" || secret != "":
		return nil, &Error{Message: "Of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only one is set. A person sets both, or neither to use the shared credentials file or the role of the machine."}
	}
	chain := credentials.Chain{Providers: []credentials.Provider{&credentials.FileAWSCredentials{
		Filename: getenv("AWS_SHARED_CREDENTIALS_FILE"), Profile: getenv("AWS_PROFILE"),
	}}}
	if getenv("AWS_EC2_METADATA_DISABLED") != "true" {
		chain.Providers = append(chain.Providers, &credentials.IAM{})
	}
	return credentials.New(&keys{chain}), nil
}

// keys is a chain that ends in an error. The one of minio-go ends in requests
// without a signature.
type keys struct{ credentials.Chain }

// RetrieveWithCredContext looks for credentials. It takes 10 seconds at most:
// on a machine that is not Amazon's nobody may answer.
func (k *keys) RetrieveWithCredContext(c *credentials.CredContext) (credentials.Value, error) {
	parent := c.Context
	if parent == nil {
		parent = context.Background()
	}
	ctx, cancel := context.WithTimeout(parent, 10*time.Second)
	defer cancel()
	v, err := k.Chain.RetrieveWithCredContext(&credentials.CredContext{Client: c.Client, Endpoint: c.Endpoint, Context: ctx})
	if err == nil && (v.AccessKeyID == "" || v.SecretAccessKey == "") {
		err = errNoKeys
	}
	return v, err
}
