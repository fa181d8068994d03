import type { ModelResult } from '../../contract/steps.ts';
import type { Queryable } from '../database/database.ts';
import { sql } from '../database/sql.ts';
import type { Message, Models } from '../models/model.ts';
import type { Driver } from '../runs/worker.ts';
import type { Tool } from '../tools/tool.ts';
import { currentTrace, inTrace, nextPlace, readTraceparent } from '../trace-context.ts';
import { type Capture, within } from './spans.ts';
import type { SpanAttributes, Tracing } from './tracing.ts';

/*
 * Spans by OpenTelemetry's conventions for generative AI. A run lives for hours and over many processes, and a span
 * that stays open so long is lost with its process; so each stretch in which one worker drives a run is a span of its
 * own, below the request that asked for the task, and all of them are one trace.
 */

interface TracedRun {
  model: string;
  agent: string;
  agentId: string;
  changeId: string | null;
}

/** The same driver, its log lines in the run's trace; no span is made. */
export function placeDriver(driver: Driver): Driver {
  return (context) => inTrace(nextPlace(readTraceparent(context.run.traceParent)), () => driver(context));
}

/** The same driver, with a span around each stretch that it drives. */
export function traceDriver(tracing: Tracing, database: Queryable, driver: Driver): Driver {
  return async (context) => {
    const { run } = context;
    const traced = await database.one<TracedRun>(
      sql`SELECT runs.model, agents.name AS agent, agents.id AS "agentId", runs.change_id AS "changeId"
          FROM runs JOIN agents ON agents.id = runs.agent_id WHERE runs.id = ${run.runId}`,
    );
    const own = {
      'mission.run.id': run.runId,
      'mission.run.kind': run.kind,
      'mission.task.id': run.taskId,
      ...(traced.changeId !== null && { 'mission.change.id': traced.changeId }),
      'mission.worker.id': run.workerId,
      // The stretches of a run are told apart by their lease.
      'mission.lease.token': run.token,
    };
    const span = tracing.start({
      name: run.kind === 'task' ? `invoke_agent ${traced.agent}` : run.kind,
      kind: 'internal',
      parent: readTraceparent(run.traceParent),
      attributes: run.kind === 'task' ? { ...own, ...agentAttributes(traced, run.runId) } : own,
    });
    return within(span, async () => {
      const result = await driver(context);
      span.set({
        'mission.run.result': result.kind === 'end' ? result.status : result.kind,
        ...(result.kind === 'park' && { 'mission.run.waits_on': result.waiting.on }),
      });
      if (result.kind === 'end' && result.status === 'failed') span.fail('run_failed');
      return result;
    });
  };
}

function agentAttributes({ agent, agentId, model }: TracedRun, runId: string): SpanAttributes {
  return {
    'gen_ai.operation.name': 'invoke_agent',
    'gen_ai.agent.name': agent,
    'gen_ai.agent.id': agentId,
    'gen_ai.conversation.id': runId,
    ...modelAttributes(model),
  };
}

/** The same models, with a span around each call. */
export function traceModels<M extends Models>(tracing: Tracing, models: M, capture: Capture): M {
  const call: Models['call'] = async (request, options) => {
    const span = tracing.start({
      name: `chat ${splitModel(request.model).name}`,
      kind: 'client',
      parent: currentTrace() ?? null,
      attributes: {
        'gen_ai.operation.name': 'chat',
        ...modelAttributes(request.model),
        'gen_ai.request.max_tokens': request.maxOutputTokens,
        ...(capture && {
          'gen_ai.system_instructions': capture(JSON.stringify([{ type: 'text', content: request.system }])),
          'gen_ai.input.messages': capture(JSON.stringify(request.messages.map(describeMessage))),
        }),
      },
    });
    return within(span, async () => {
      const answer = await models.call(request, options);
      const { input, output, cachedInput, cacheWrite } = answer.usage;
      span.set({
        'gen_ai.usage.input_tokens': input,
        'gen_ai.usage.output_tokens': output,
        'gen_ai.usage.cache_read.input_tokens': cachedInput,
        'gen_ai.usage.cache_creation.input_tokens': cacheWrite ?? 0,
        'gen_ai.response.finish_reasons': [finishReasons[answer.finishReason]],
        ...(capture && { 'gen_ai.output.messages': capture(JSON.stringify([describeAnswer(answer)])) }),
      });
      return answer;
    });
  };
  return { ...models, call };
}

/** The same tool, with a span around each call. */
export function traceTool(tracing: Tracing, tool: Tool, capture: Capture): Tool {
  return {
    ...tool,
    run: async (input, context) => {
      const span = tracing.start({
        name: `execute_tool ${tool.name}`,
        kind: 'internal',
        parent: currentTrace() ?? null,
        attributes: {
          'gen_ai.operation.name': 'execute_tool',
          'gen_ai.tool.name': tool.name,
          'gen_ai.tool.type': 'function',
          'mission.tool.effect': tool.effect,
          ...(capture && { 'gen_ai.tool.call.arguments': capture(JSON.stringify(input)) }),
        },
      });
      return within(span, async () => {
        const outcome = await tool.run(input, context);
        if (outcome.kind === 'result') {
          if (!outcome.result.ok) span.fail('tool_failed');
          if (capture) span.set({ 'gen_ai.tool.call.result': capture(outcome.result.output) });
        }
        return outcome;
      });
    },
  };
}

const finishReasons: Record<ModelResult['finishReason'], string> = {
  stop: 'stop',
  tool_calls: 'tool_call',
  length: 'length',
  refused: 'content_filter',
  other: 'error',
};

function splitModel(model: string): { provider: string; name: string } {
  const at = model.indexOf('/');
  return { provider: model.slice(0, Math.max(at, 0)), name: model.slice(at + 1) };
}

function modelAttributes(model: string): SpanAttributes {
  const { provider, name } = splitModel(model);
  const known = provider === 'google' ? 'gcp.gemini' : provider;
  return { 'gen_ai.provider.name': known, 'gen_ai.request.model': name };
}

function describeMessage(message: Message): object {
  if (message.role === 'user') return { role: 'user', parts: [{ type: 'text', content: message.text }] };
  if (message.role === 'tool') {
    const parts = message.results.map(({ callId, output }) => ({
      type: 'tool_call_response',
      id: callId,
      response: output,
    }));
    return { role: 'tool', parts };
  }
  return { role: 'assistant', parts: partsOf(message) };
}

function describeAnswer(answer: ModelResult): object {
  return {
    role: 'assistant',
    parts: partsOf(answer),
    finish_reason: finishReasons[answer.finishReason],
  };
}

function partsOf({ text, toolCalls }: Pick<ModelResult, 'text' | 'toolCalls'>): object[] {
  const calls = toolCalls.map(({ id, name, argumentsText }) => ({
    type: 'tool_call',
    id,
    name,
    arguments: argumentsText,
  }));
  return text === '' ? calls : [{ type: 'text', content: text }, ...calls];
}
