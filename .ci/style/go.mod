module style

go 1.26.0
