package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"confine"

	corev1 "k8s.io/api/core/v1"
)

// node runs containers of manifests as a machine of a cluster does.
type node struct {
	manifests *manifests
	root      string                       // files of the image
	work      string                       // folder for volumes
	secrets   map[string]map[string]string // contents of files, by secret and name
	variables map[string]string            // that replace those of the manifests

	databaseName, databasePort string
}

// command returns a command that runs a container of a pod with further variables. changed
// are arguments that take the place of others.
func (n *node) command(p pod, c corev1.Container, variables, changed map[string]string) (*exec.Cmd, error) {
	security := p.template.Spec.SecurityContext
	inside := confine.Container{
		Root: n.root, Dir: "/home/nonroot", Args: []string{"/fullstory-export-mcp"},
		User: int(*security.RunAsUser), Groups: []int{int(*security.FSGroup)},
	}
	args := c.Args
	if len(args) == 0 {
		args = []string{"serve"}
	}
	for _, a := range args {
		if to, ok := changed[a]; ok {
			a = to
		}
		inside.Args = append(inside.Args, a)
	}
	set, err := n.manifests.variables(c)
	if err != nil {
		return nil, err
	}
	// Of the image.
	env := map[string]string{
		"HOME": "/home/nonroot", "FULLSTORY_EXPORT_DIR": "/data", "FULLSTORY_EXPORT_LOG_FORMAT": "json",
		"FULLSTORY_EXPORT_CALLERS": "/config/callers.json",
	}
	maps.Copy(env, set)
	maps.Copy(env, n.variables)
	maps.Copy(env, variables)
	if address := env["FULLSTORY_EXPORT_DATABASE"]; address != "" {
		if env["FULLSTORY_EXPORT_DATABASE"], err = n.reachable(address); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		inside.Env = append(inside.Env, name+"="+env[name])
	}
	hosts := "127.0.0.1 localhost " + n.databaseName + "\n" // which a node writes, too
	if err := os.WriteFile(filepath.Join(n.root, "etc/hosts"), []byte(hosts), 0o644); err != nil {
		return nil, err
	}
	for _, m := range c.VolumeMounts {
		from, err := n.volume(p, m.Name)
		if err != nil {
			return nil, err
		}
		if err := os.MkdirAll(filepath.Join(n.root, m.MountPath), 0o755); err != nil {
			return nil, err
		}
		inside.Mounts = append(inside.Mounts, confine.Mount{Source: from, Target: m.MountPath, Writable: !m.ReadOnly})
	}
	return inside.Command()
}

// run runs a container of a pod, and returns what it prints.
func (n *node) run(p pod, c corev1.Container, changed map[string]string) (string, error) {
	cmd, err := n.command(p, c, nil, changed)
	if err != nil {
		return "", err
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: container %s: %w:\n%s", p.file, c.Name, err, out)
	}
	return string(out), err
}

// reachable returns an address of a database with the port of the one of this check. All
// else stays: its name, which /etc/hosts leads to this machine, and how it is trusted.
func (n *node) reachable(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	if u.Port() != "" || u.Hostname() != n.databaseName {
		return "", fmt.Errorf("%s is not at the port 5432 of %s", address, n.databaseName)
	}
	u.Host = net.JoinHostPort(n.databaseName, n.databasePort)
	return u.String(), nil
}

// volume returns the folder of a volume of a pod, which it makes as a node does.
func (n *node) volume(p pod, name string) (string, error) {
	i := slices.IndexFunc(p.template.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == name })
	v := p.template.Spec.Volumes[i]
	group := int(*p.template.Spec.SecurityContext.FSGroup)
	switch {
	case v.Secret != nil:
		return n.secretVolume(v.Secret.SecretName, os.FileMode(*v.Secret.DefaultMode), group)
	case v.PersistentVolumeClaim != nil:
		// Its root belongs to root, and the group can write.
		path := filepath.Join(n.work, v.PersistentVolumeClaim.ClaimName)
		return path, makeFolder(path, 0o775|os.ModeSetgid, group)
	}
	path, err := os.MkdirTemp(n.work, "empty-")
	return path, errors.Join(err, makeFolder(path, 0o777|os.ModeSetgid, group))
}

// secretVolume makes the folder of a secret: each file is a symbolic link, by way of
// ..data, to a file in a folder that is replaced as a whole when the secret changes.
func (n *node) secretVolume(name string, mode os.FileMode, group int) (string, error) {
	path, err := os.MkdirTemp(n.work, "secret-")
	if err != nil {
		return "", err
	}
	const version = "..2026_12_01_00_00_00.1"
	err = errors.Join(makeFolder(path, 0o777|os.ModeSticky|os.ModeSetgid, group),
		makeFolder(filepath.Join(path, version), 0o755|os.ModeSetgid, group),
		os.Symlink(version, filepath.Join(path, "..data")))
	for file, content := range n.secrets[name] {
		at := filepath.Join(path, version, file)
		err = errors.Join(err, os.WriteFile(at, []byte(content), 0o600), os.Chown(at, 0, group), os.Chmod(at, mode),
			os.Symlink("..data/"+file, filepath.Join(path, file)))
	}
	return path, err
}

// makeFolder makes a folder of root and a group, if it is not there.
func makeFolder(path string, mode os.FileMode, group int) error {
	return errors.Join(os.MkdirAll(path, 0o700), os.Chown(path, 0, group), os.Chmod(path, mode))
}

// fill returns the files of all secrets, in which known values take the place of others.
func (m *manifests) fill(known map[string]string) map[string]map[string]string {
	filled := map[string]map[string]string{}
	for _, s := range all[*corev1.Secret](m) {
		filled[s.Name] = map[string]string{}
		for file, text := range s.StringData {
			if value, ok := known[file]; ok {
				text = value
			}
			filled[s.Name][file] = strings.ReplaceAll(text, "REPLACE_WITH_THE_PASSWORD", "password")
		}
	}
	return filled
}
