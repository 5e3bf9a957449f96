"""Summaries: a BART-type model as two ONNX graphs, and a decode loop of our own around them.

`export` reads a Hugging Face folder (`weights`, `generation`), writes the graphs (`encoder_graph`, `decoder_graph` over
`builder`) and has them judged by an fp64 forward pass (`reference`) and a plain beam search (`plain_search`).
To serve, `summarizer` (text in, text out) needs only `engine`, `beams`, `slots`, `cross`, `generation` and `folder`.
`rehearsal` trains a toy that stands in for a real model, `measure` prints tokens per second.
"""
