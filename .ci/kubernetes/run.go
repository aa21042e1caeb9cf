package main

func runPods(m *manifests, root, postgres string) error { return nil }
