"""A Messages request becomes a Chat Completions request.

Belongs here: the plan that every protocol shares, and one module per group of fields (sampling, thinking,
structured output, identity). The conversation itself is in `messages`, tools are in `conversion.tools`.
Does not belong here: the Responses API (`openai_responses`), and anything about answers.
"""
