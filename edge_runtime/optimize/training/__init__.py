"""Techniques applied while a model is trained: folding, fake quantisation, pruning, clustering, and the export.

For torch: `fold`, `fake_quant`, `sparsity`, `clusters`, `finetune` and `export`, extra ``[train]``. For Keras: `keras`,
extra ``[tfmot]``. A module is imported when it is used; a board needs none of them.
"""
