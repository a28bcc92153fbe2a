"""The ``onnx`` package's node tests through lowering: scope, verdicts, the table in docs/onnx.md."""
