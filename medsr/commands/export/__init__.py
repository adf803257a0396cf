"""`medsr export`: models for OpenVINO and ONNX, in fp32 or int8."""
