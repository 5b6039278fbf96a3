"""From a student's folder to ONNX: the graph, the same in int8, and whether that may be used."""
