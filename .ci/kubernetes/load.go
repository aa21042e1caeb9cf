package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// namespace is that of all objects.
const namespace = "fullstory-export"

// object is one that a manifest describes.
type object interface {
	runtime.Object
	metav1.Object
}

// manifests are the objects of a folder.
type manifests struct {
	objects []object
	files   map[object]string // name of the file of each
}

// pod is the template of the pods of an object.
type pod struct {
	of       object
	file     string
	template corev1.PodTemplateSpec
}

// decoder returns a decoder that fails for fields that Kubernetes does not know, and for
// those that are given twice.
func decoder() (runtime.Decoder, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme, policyv1.AddToScheme, networkingv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	options := json.SerializerOptions{Yaml: true, Strict: true}
	return json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, options), nil
}

// load reads all manifests of a folder, those that end in .example, too.
func load(folder string) (*manifests, error) {
	decode, err := decoder()
	if err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(filepath.Join(folder, "*.yaml*"))
	if err != nil {
		return nil, err
	}
	m := &manifests{files: map[object]string{}}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if err := m.read(decode, filepath.Base(path), raw); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if len(m.objects) < 10 {
		return nil, fmt.Errorf("%s has only %d objects", folder, len(m.objects))
	}
	return m, nil
}

// read adds the objects of a file.
func (m *manifests) read(decode runtime.Decoder, file string, raw []byte) error {
	for r := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(raw))); ; {
		document, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		decoded, _, err := decode.Decode(document, nil, nil)
		if err != nil {
			return err
		}
		o := decoded.(object)
		if wrong := validation.IsDNS1123Label(o.GetName()); len(wrong) > 0 {
			return fmt.Errorf("the name %q: %s", o.GetName(), wrong[0])
		}
		_, isNamespace := o.(*corev1.Namespace)
		if (isNamespace && o.GetName() != namespace) || (!isNamespace && o.GetNamespace() != namespace) {
			return fmt.Errorf("%T %s is not in the namespace %s", o, o.GetName(), namespace)
		}
		m.objects = append(m.objects, o)
		m.files[o] = file
	}
}

// pods returns the templates of all pods.
func (m *manifests) pods() (all []pod) {
	for _, o := range m.objects {
		p := pod{of: o, file: m.files[o]}
		switch o := o.(type) {
		case *appsv1.Deployment:
			p.template = o.Spec.Template
		case *batchv1.Job:
			p.template = o.Spec.Template
		case *batchv1.CronJob:
			p.template = o.Spec.JobTemplate.Spec.Template
		default:
			continue
		}
		all = append(all, p)
	}
	return all
}

// containers returns all containers of a pod, in the order in which they start.
func (p pod) containers() []corev1.Container {
	return slices.Concat(p.template.Spec.InitContainers, p.template.Spec.Containers)
}

// containers returns those of all pods.
func (m *manifests) containers() (all []corev1.Container) {
	for _, p := range m.pods() {
		all = append(all, p.containers()...)
	}
	return all
}

// find returns the object of a type with a name; nil if there is none.
func find[T object](m *manifests, name string) (found T) {
	for _, o := range m.objects {
		if typed, ok := o.(T); ok && o.GetName() == name {
			return typed
		}
	}
	return found
}

// all returns the objects of a type.
func all[T object](m *manifests) (found []T) {
	for _, o := range m.objects {
		if typed, ok := o.(T); ok {
			found = append(found, typed)
		}
	}
	return found
}
