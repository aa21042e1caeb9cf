package mirror

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// errNoCredentials means that neither the environment, nor the shared
// credentials file, nor the role of the machine has credentials.
var errNoCredentials = errors.New("no credentials")

// findCredentials returns the credentials of the environment. Without them it
// returns a chain that looks for some when the first request is made.
func findCredentials(getenv func(string) string) (*credentials.Credentials, error) {
	if getenv == nil {
		getenv = os.Getenv
	}
	id, secret := getenv("AWS_ACCESS_KEY_ID"), getenv("AWS_SECRET_ACCESS_KEY")
	switch {
	case id != "" && secret != "":
		return credentials.NewStaticV4(id, secret, getenv("AWS_SESSION_TOKEN")), nil
	case id != "" || secret != "":
		return nil, &Error{
			Message: "Of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only one is set.",
			Remedy:  "Set both, or neither to use the shared credentials file or the role of the machine.",
		}
	}
	providers := credentials.Chain{Providers: []credentials.Provider{&credentials.FileAWSCredentials{
		Filename: getenv("AWS_SHARED_CREDENTIALS_FILE"), Profile: getenv("AWS_PROFILE"),
	}}}
	if getenv("AWS_EC2_METADATA_DISABLED") != "true" {
		providers.Providers = append(providers.Providers, &credentials.IAM{})
	}
	return credentials.New(&chain{providers}), nil
}

// chain is minio-go's chain of providers, except that it fails when none of them
// has credentials: minio-go's would send requests without a signature.
type chain struct{ credentials.Chain }

// RetrieveWithCredContext looks for credentials for at most 10 seconds: outside
// Amazon's cloud the address that gives out roles may not answer at all.
func (c *chain) RetrieveWithCredContext(caller *credentials.CredContext) (credentials.Value, error) {
	parent := caller.Context
	if parent == nil {
		parent = context.Background()
	}
	ctx, cancel := context.WithTimeout(parent, 10*time.Second)
	defer cancel()
	v, err := c.Chain.RetrieveWithCredContext(&credentials.CredContext{
		Client: caller.Client, Endpoint: caller.Endpoint, Context: ctx,
	})
	if err == nil && (v.AccessKeyID == "" || v.SecretAccessKey == "") {
		err = errNoCredentials
	}
	return v, err
}
