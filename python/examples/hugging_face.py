"""A pruned Hugging Face model made sparse and fast:  python hugging_face.py FOLDER [cuda]"""

import sys

import cross_sparse.torch as cst
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained(sys.argv[1]).to(*sys.argv[2:] or ["cpu"]).eval()
model = cst.sparsify(model, tokens=(1, 128), exclude="lm_head")
print(cst.report(model))
