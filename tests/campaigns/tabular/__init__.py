"""Models of tables (trees, linear models, support vectors) by scikit-learn, XGBoost and LightGBM, through ONNX: docs/tabular.md."""
