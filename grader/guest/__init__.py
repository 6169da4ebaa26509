"""The program inside the sandbox: runs a notebook, answers probes, sends receipts.

This folder stands alone: it imports nothing of `grader`, and `grader` imports nothing of it. It is
copied into the image by itself, so that whatever student code can read inside a sandbox holds no
checks, no comparisons and no answers; and its own copy of the value format keeps a mistake in one
side from hiding the same mistake in the other (the contract tests run both against each other).

Two processes share the folder:

    main.py     first process: reads the box, writes the frames; student code never runs in it
      serving.py    one box, one run, one exit code
      box.py        reads the box
      wire.py       frames, and the encoding of values
      files.py      lays out the files that were handed in beside the notebook
      child.py      starts, interrupts and kills the kernel process
      memory.py     counts out-of-memory kills; watches memory where no cgroup does
      answer.py     reads the reply to a probe (the kernel writes it with the same file)
      session.py    talks to one kernel: cells through nbclient, and our own requests
      runner.py     the whole run: cells, restart, probes, the end
    warm.py     in place of both: forks a first process and a kernel for each box, one after another
      namespaces.py the place of one box: made, and locked
    kernel.py   the student's kernel: imports torch before their code, then serves Jupyter messages
      module.py     loads a handed-in file as a module
      plain.py      objects -> plain data, by exact type
      probe.py      capture, call, predict
      calling.py    binds arguments, moves tensors, says what was raised
      model.py      build a model, load weights, run it, differentiate
      placing.py    finds the student's parameter for each given weight
      layers.py     says what layers a model has, and how many parameters
      predicting.py calls a function or model on many inputs

What the kernel says is testimony: student code shares a process with `plain.py` and `probe.py` and
may bend both. The first process therefore treats every byte of it as untrusted, under caps.
"""
