"""The student as a service: an API, and pages to classify and to annotate on."""
