package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// stopTime is how long a server may take to end after SIGTERM, as docs/team.md says.
const stopTime = 7 * time.Second

// checkPods checks each pod by the Pod Security Standard "restricted" and by what this
// project asks for beyond it.
func (m *manifests) checkPods() error {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return err
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	labels := find[*corev1.Namespace](m, namespace).Labels
	if labels["pod-security.kubernetes.io/enforce"] != string(api.LevelRestricted) {
		return errors.New("the namespace does not enforce the Pod Security Standard")
	}
	image := m.containers()[0].Image
	var wrong []error
	for _, p := range m.pods() {
		result := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &p.template.ObjectMeta, &p.template.Spec))
		if !result.Allowed {
			wrong = append(wrong, fmt.Errorf("%s: not restricted: %s", p.file, result.ForbiddenDetail()))
		}
		if err := checkPod(p.template); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", p.file, err))
		}
		for _, c := range p.containers() {
			if err := checkContainer(c, image); err != nil {
				wrong = append(wrong, fmt.Errorf("%s: container %s: %w", p.file, c.Name, err))
			}
		}
	}
	return errors.Join(wrong...)
}

// isFalse reports whether a setting is given, and false.
func isFalse(b *bool) bool { return b != nil && !*b }

// checkPod checks what the containers of a pod share.
func checkPod(t corev1.PodTemplateSpec) error {
	s := t.Spec
	user := int64(65532)
	c := s.SecurityContext
	same := func(id *int64) bool { return id != nil && *id == user }
	grace := time.Duration(0)
	if s.TerminationGracePeriodSeconds != nil {
		grace = time.Duration(*s.TerminationGracePeriodSeconds) * time.Second
	} else {
		grace = corev1.DefaultTerminationGracePeriodSeconds * time.Second
	}
	for _, each := range s.Containers {
		if each.Lifecycle != nil && each.Lifecycle.PreStop != nil && each.Lifecycle.PreStop.Sleep != nil {
			grace -= time.Duration(each.Lifecycle.PreStop.Sleep.Seconds) * time.Second
		}
	}
	switch {
	case !isFalse(s.AutomountServiceAccountToken) || s.ServiceAccountName == "":
		return errors.New("it has the token of an account")
	case !isFalse(s.EnableServiceLinks):
		return errors.New("services set variables that begin with FULLSTORY_EXPORT_")
	case c == nil || !same(c.RunAsUser) || !same(c.RunAsGroup) || !same(c.FSGroup):
		return fmt.Errorf("its user, group or fsGroup is not %d, which the image has", user)
	case grace < 2*stopTime:
		return fmt.Errorf("the server has %s to stop, and needs up to %s", grace, stopTime)
	}
	for _, v := range s.Volumes {
		if v.EmptyDir != nil && v.EmptyDir.SizeLimit == nil {
			return fmt.Errorf("the volume %s has no limit", v.Name)
		}
		if v.Secret != nil && (v.Secret.DefaultMode == nil || *v.Secret.DefaultMode != 0o440) {
			return fmt.Errorf("the files of the volume %s do not have the mode 0440", v.Name)
		}
	}
	return nil
}

// checkContainer checks one container, which must be of an image.
func checkContainer(c corev1.Container, image string) error {
	if c.Image != image {
		return fmt.Errorf("its image is %s, and that of another container is %s", c.Image, image)
	}
	if s := c.SecurityContext; s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
		return errors.New("its root can be written")
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		request, limit := c.Resources.Requests[name], c.Resources.Limits[name]
		if request.IsZero() || limit.IsZero() || request.Cmp(limit) > 0 {
			return fmt.Errorf("it asks for %s of %s, at most %s", request.String(), name, limit.String())
		}
	}
	return nil
}

// checkMounts fails unless the mounts of a container are volumes of its pod, none is in
// another, and a secret can only be read.
func checkMounts(c corev1.Container, volumes []corev1.Volume) error {
	for _, mount := range c.VolumeMounts {
		i := slices.IndexFunc(volumes, func(v corev1.Volume) bool { return v.Name == mount.Name })
		if i < 0 {
			return fmt.Errorf("there is no volume %s", mount.Name)
		}
		if volumes[i].Secret != nil && !mount.ReadOnly {
			return fmt.Errorf("the mount of %s is not readOnly", mount.Name)
		}
		for _, other := range c.VolumeMounts {
			if strings.HasPrefix(other.MountPath, mount.MountPath+"/") {
				return fmt.Errorf("%s is in %s", other.MountPath, mount.MountPath)
			}
		}
	}
	return nil
}

// selects reports whether a selector that is not empty matches labels.
func selects(s *metav1.LabelSelector, labels map[string]string) bool {
	selector, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && !selector.Empty() && selector.Matches(labelSet(labels))
}
