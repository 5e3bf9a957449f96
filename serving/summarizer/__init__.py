"""Summaries: a BART-type model as two ONNX graphs, and a decode loop of our own around them.

`export` reads a Hugging Face folder (`weights`, `hf_settings`, `hf_tokenizer`), writes the graphs (`encoder_graph` and
`decoder_graph`, over `builder`) and has them judged (`gate`) by an fp64 forward pass (`reference`) and a plain beam
search (`plain_search`). To serve, `summarizer` (text in, text out) and `golden` (does a load repeat what was recorded?)
need only `batch`, `engine`, `beams`, `slots`, `cross`, `generation`, `rouge` and `folder`, and of other packages numpy,
pydantic, tokenizers and ONNX Runtime. `rehearsal` trains a toy in a real model's place, `measure` prints tokens/s.
"""
