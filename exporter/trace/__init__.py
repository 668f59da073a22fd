"""From a torch model to an ONNX graph without values: the trunk, whole or behind a cached context."""
