// Command kubernetes checks the manifests of deploy/kubernetes: strictly against the types
// of Kubernetes' API, against the Pod Security Standard "restricted", against each other, and
// against the program's own flags and variables. Then it runs what they say, as a node
// would, in the files of the image. It needs root and namespaces, and exits with a non-zero
// status if a check fails.
//
//	go run . MANIFESTS PROGRAM ROOT POSTGRES S3
//
// ROOT is the folder in which .ci/image has unpacked the image, POSTGRES the address of a
// server at which databases and roles can be created, S3 that of a bucket, as .ci/s3 prints
// it.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"confine"
)

func main() {
	confine.Main()
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "usage: kubernetes MANIFESTS PROGRAM ROOT POSTGRES S3")
		os.Exit(2)
	}
	runtime.LockOSThread() // processes end with the thread that started them
	if err := run(os.Args[1], os.Args[2], world{os.Args[2], os.Args[3], os.Args[4], os.Args[5]}); err != nil {
		fmt.Fprintln(os.Stderr, "kubernetes:", err)
		os.Exit(1)
	}
}

// run makes all checks. Those of manifests are made even if others have failed.
func run(folder, program string, w world) error {
	m, err := load(folder)
	if err != nil {
		return err
	}
	err = errors.Join(m.checkPods(), m.checkReferences(), m.checkServer(), m.checkVariant(), m.checkProgram(program))
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d objects, %d containers, restricted\n", folder, len(m.objects), len(m.containers()))
	return w.run(m)
}
