"""Second thoughts about the teacher's labels, before anything is learnt from them."""
