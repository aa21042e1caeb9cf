package main

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// labelSet is the set that a selector matches.
func labelSet(l map[string]string) labels.Set { return l }

// checkReferences checks that what an object names is there: accounts, volumes, secrets,
// their files, and pods. No secret may have a value.
func (m *manifests) checkReferences() error {
	var wrong []error
	for _, p := range m.pods() {
		if find[*corev1.ServiceAccount](m, p.template.Spec.ServiceAccountName) == nil {
			wrong = append(wrong, fmt.Errorf("%s: there is no account %s", p.file, p.template.Spec.ServiceAccountName))
		}
		for _, v := range p.template.Spec.Volumes {
			if err := m.checkVolume(v); err != nil {
				wrong = append(wrong, fmt.Errorf("%s: volume %s: %w", p.file, v.Name, err))
			}
		}
		for _, c := range p.containers() {
			err := errors.Join(checkMounts(c, p.template.Spec.Volumes), m.checkFiles(p, c))
			if err != nil {
				wrong = append(wrong, fmt.Errorf("%s: container %s: %w", p.file, c.Name, err))
			}
		}
	}
	for _, s := range all[*corev1.Secret](m) {
		for name, value := range s.StringData {
			if !strings.Contains(value, "REPLACE_WITH_") || len(s.Data) > 0 {
				wrong = append(wrong, fmt.Errorf("the secret %s has a value for %s", s.Name, name))
			}
		}
	}
	return errors.Join(append(wrong, m.checkSelectors(), m.checkNetwork())...)
}

// checkVolume fails if a volume names what is not there.
func (m *manifests) checkVolume(v corev1.Volume) error {
	switch {
	case v.Secret != nil && find[*corev1.Secret](m, v.Secret.SecretName) == nil:
		return fmt.Errorf("there is no secret %s", v.Secret.SecretName)
	case v.PersistentVolumeClaim != nil &&
		find[*corev1.PersistentVolumeClaim](m, v.PersistentVolumeClaim.ClaimName) == nil:
		return fmt.Errorf("there is no claim %s", v.PersistentVolumeClaim.ClaimName)
	case v.Secret == nil && v.PersistentVolumeClaim == nil && v.EmptyDir == nil:
		return errors.New("it is of another kind")
	}
	return nil
}

// variables returns the variables of a container with their values, as Kubernetes would
// set them.
func (m *manifests) variables(c corev1.Container) (map[string]string, error) {
	set := map[string]string{}
	for _, from := range c.EnvFrom {
		switch {
		case from.ConfigMapRef != nil:
			found := find[*corev1.ConfigMap](m, from.ConfigMapRef.Name)
			if found == nil {
				return nil, fmt.Errorf("there are no settings %s", from.ConfigMapRef.Name)
			}
			for name, value := range found.Data {
				set[name] = value
			}
		case from.SecretRef != nil:
			found := find[*corev1.Secret](m, from.SecretRef.Name)
			if found == nil {
				return nil, fmt.Errorf("there is no secret %s", from.SecretRef.Name)
			}
			for name, value := range found.StringData {
				set[name] = value
			}
		}
	}
	for _, e := range c.Env {
		if e.ValueFrom != nil {
			return nil, fmt.Errorf("the variable %s has no plain value", e.Name)
		}
		set[e.Name] = e.Value
	}
	return set, nil
}

// checkFiles fails if a variable of a container names a file that no secret of its pod has, or
// a folder outside of its disks.
func (m *manifests) checkFiles(p pod, c corev1.Container) error {
	set, err := m.variables(c)
	if err != nil {
		return err
	}
	for name, value := range set {
		for _, word := range strings.FieldsFunc(value, func(r rune) bool { return r == '=' || r == '&' }) {
			if strings.HasPrefix(word, "/") && !m.hasFile(p, c, strings.Replace(word, "/..data/", "/", 1)) {
				return fmt.Errorf("%s names %s, which is not there", name, word)
			}
		}
	}
	return nil
}

// hasFile reports whether a container has a file of a secret at that path, or a disk.
func (m *manifests) hasFile(p pod, c corev1.Container, file string) bool {
	for _, mount := range c.VolumeMounts {
		for _, v := range p.template.Spec.Volumes {
			if v.Name != mount.Name || mount.MountPath != path.Dir(file) {
				continue
			}
			if v.Secret == nil {
				return true
			}
			secret := find[*corev1.Secret](m, v.Secret.SecretName)
			return secret != nil && secret.StringData[path.Base(file)] != ""
		}
	}
	return false
}

// checkSelectors fails if an object selects no pods.
func (m *manifests) checkSelectors() error {
	selectors := map[string]*metav1.LabelSelector{}
	for _, o := range m.objects {
		name := fmt.Sprintf("%T %s of %s", o, o.GetName(), m.files[o])
		switch o := o.(type) {
		case *corev1.Service:
			selectors[name] = &metav1.LabelSelector{MatchLabels: o.Spec.Selector}
		case *policyv1.PodDisruptionBudget:
			selectors[name] = o.Spec.Selector
		case *networkingv1.NetworkPolicy:
			selectors[name] = &o.Spec.PodSelector
		case *appsv1.Deployment:
			if !selects(o.Spec.Selector, o.Spec.Template.Labels) {
				return fmt.Errorf("%s does not select its own pods", name)
			}
			for _, spread := range o.Spec.Template.Spec.TopologySpreadConstraints {
				selectors[name+", spread"] = spread.LabelSelector
			}
		}
	}
	for name, s := range selectors {
		if !slices.ContainsFunc(m.pods(), func(p pod) bool { return selects(s, p.template.Labels) }) {
			return fmt.Errorf("%s selects no pods", name)
		}
	}
	return nil
}

// checkNetwork fails if a pod may be reached or may reach others without a policy, or if a
// policy has an invalid block of addresses.
func (m *manifests) checkNetwork() error {
	for _, p := range m.pods() {
		limited := func(n *networkingv1.NetworkPolicy) bool {
			both := []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
			return selects(&n.Spec.PodSelector, p.template.Labels) && slices.Equal(n.Spec.PolicyTypes, both)
		}
		if !slices.ContainsFunc(all[*networkingv1.NetworkPolicy](m), limited) {
			return fmt.Errorf("%s: no policy limits the network of its pods", p.file)
		}
	}
	for _, n := range all[*networkingv1.NetworkPolicy](m) {
		if err := checkBlocks(n.Spec.Egress); err != nil {
			return fmt.Errorf("the policy %s: %w", n.Name, err)
		}
	}
	return nil
}

// checkBlocks fails if a rule has an invalid block of addresses.
func checkBlocks(rules []networkingv1.NetworkPolicyEgressRule) error {
	var blocks []string
	for _, rule := range rules {
		for _, to := range rule.To {
			if to.IPBlock != nil {
				blocks = append(append(blocks, to.IPBlock.CIDR), to.IPBlock.Except...)
			}
		}
	}
	for _, text := range blocks {
		if block, err := netip.ParsePrefix(text); err != nil || block != block.Masked() {
			return fmt.Errorf("the block %s is invalid", text)
		}
	}
	return nil
}

// hasPort reports whether a container has the port that another object names.
func hasPort(c corev1.Container, port intstr.IntOrString) bool {
	return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool {
		return port.Type == intstr.String && p.Name == port.StrVal && p.ContainerPort == 8931
	})
}

// checkServer checks the Deployments, and the objects that lead to their pods.
func (m *manifests) checkServer() error {
	for _, d := range all[*appsv1.Deployment](m) {
		c := d.Spec.Template.Spec.Containers[0]
		if d.Spec.Replicas == nil || *d.Spec.Replicas < 2 {
			return fmt.Errorf("%s has less than two replicas", m.files[d])
		}
		for want, probe := range map[string]*corev1.Probe{
			"/healthz": c.LivenessProbe, "/healthz ": c.StartupProbe, "/readyz": c.ReadinessProbe,
		} {
			get := probe.HTTPGet
			if get == nil || get.Path != strings.TrimSpace(want) || !hasPort(c, get.Port) {
				return fmt.Errorf("%s: a probe does not ask %s", m.files[d], want)
			}
		}
		for _, s := range all[*corev1.Service](m) {
			if !hasPort(c, s.Spec.Ports[0].TargetPort) {
				return fmt.Errorf("the service leads to no port of %s", m.files[d])
			}
		}
	}
	for _, j := range all[*batchv1.CronJob](m) {
		spec := j.Spec.JobTemplate.Spec
		if j.Spec.ConcurrencyPolicy != batchv1.ForbidConcurrent || spec.BackoffLimit == nil || *spec.BackoffLimit != 0 {
			return fmt.Errorf("%s may run more than once at a time", m.files[j])
		}
	}
	return nil
}

// checkVariant fails if the two Deployments differ in more than the volume of files, the
// size of the disk, and the variables and secrets of the bucket.
func (m *manifests) checkVariant() error {
	found := all[*appsv1.Deployment](m)
	if len(found) != 2 {
		return fmt.Errorf("there are %d Deployments, not two variants", len(found))
	}
	var plain []*appsv1.Deployment
	for _, d := range found {
		d = d.DeepCopy()
		s := &d.Spec.Template.Spec
		c := &s.Containers[0]
		s.Volumes = slices.DeleteFunc(s.Volumes, func(v corev1.Volume) bool { return v.Name == "files" })
		c.EnvFrom = slices.DeleteFunc(c.EnvFrom, func(e corev1.EnvFromSource) bool { return e.SecretRef != nil })
		c.Env = slices.DeleteFunc(c.Env, func(e corev1.EnvVar) bool { return strings.Contains(e.Name, "_MIRROR") })
		delete(c.Resources.Requests, corev1.ResourceEphemeralStorage)
		delete(c.Resources.Limits, corev1.ResourceEphemeralStorage)
		plain = append(plain, d)
	}
	if !equality.Semantic.DeepEqual(plain[0], plain[1]) {
		return fmt.Errorf("the variants of the server differ in more:\n%s", diff.Diff(plain[0], plain[1]))
	}
	return nil
}
