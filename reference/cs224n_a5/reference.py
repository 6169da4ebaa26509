"""What is right in cs224n_a5, and the mistakes that students are known to make.

Plain torch and Python, written to be read beside the handout; the rubric refers to all of it by
name. Question 1 is in `queries.py`, the GPT in `config.py`, `attention.py` and `gpt.py`, span
corruption in `corruption.py`, the invented people in `places.py`. A known mistake is a function or
class of its own, named for what it does.

Source: CS224N, assignment 5 (2021 to 2024), in the names and signatures that our template gives.
"""

# ruff: noqa: F401 - what is imported here is for the rubric

from __future__ import annotations

from .attention import (
    CausalSelfAttention,
    SynthesizerAttention,
    apply_rotary_emb,
    precompute_rotary_emb,
)
from .config import GPTConfig
from .corruption import (
    CharCorruptionDataset,
    corrupts,
    corrupts_by_another_share,
    corrupts_inner_text,
    corrupts_to_block_size,
    corrupts_too_much,
    corrupts_unshifted,
    corrupts_whole_documents,
    corrupts_with_one_mask,
    corrupts_with_span_inside,
    corrupts_with_third_mask,
    documents,
    gives_items,
    gives_pairs,
)
from .gpt import GPT, DownProjectBlock, UpProjectBlock, has_latents, padded_targets
from .mistaken_queries import (
    asks_for_one_in_both_heads,
    averages_in_each_head,
    averages_means_with_short_query,
    averages_one_mean_only,
    averages_one_only,
    averages_with_short_query,
    copies_another,
    copies_with_short_query,
    extracts_the_other,
    extracts_when_transposed,
    spreads_as_variance,
    spreads_by_half,
    spreads_without_long_key,
)
from .mistakes import (
    GPTThatCountsPadding,
    GPTWithoutLastNorm,
    GPTWithoutPositions,
    attention_masked_after_softmax,
    attention_of_interleaved_heads,
    attention_of_scattered_heads,
    attention_scaled_by_width,
    attention_softmax_over_queries,
    attention_that_looks_ahead,
    attention_without_mask,
    attention_without_scale,
    gpt_masked_after_softmax,
    gpt_of_interleaved_heads,
    gpt_of_scattered_heads,
    gpt_scaled_by_width,
    gpt_softmax_over_queries,
    gpt_that_looks_ahead,
    gpt_without_mask,
    gpt_without_scale,
    rotary_cache,
    rotary_from_one,
    rotary_of_sines_first,
    rotary_with_growing_angles,
    rotary_without_first_angle,
    rotated_backwards,
    rotated_by_last_positions,
    rotated_in_halves,
    rotated_with_first_sign_wrong,
    rotated_with_second_sign_wrong,
    synthesizer_with_scale,
    synthesizer_with_scaled_hidden,
    synthesizer_without_b2,
    synthesizer_without_mask,
    synthesizer_without_relu,
    vanilla_gpt,
)
from .places import (
    dev_places,
    london_baseline,
    london_count,
    london_in_hundreds,
    london_inside,
    london_share,
    percent_right,
    predicts_london_only,
    predicts_questions,
    some_pairs,
)
from .queries import (
    average_query,
    average_query_means,
    averages,
    averages_near_means,
    averages_with_two_heads,
    copies,
    copy_query,
    exact_means,
    extractor,
    extracts,
    first_basis,
    output_spread,
    second_basis,
    spreads_alike,
    two_head_queries,
)
