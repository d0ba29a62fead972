"""What the front door of an agent does in Lua: only what Envoy's routes cannot.

`NAMED_OTHERWISE` runs for requests without the header: direct clients, who name a loaded model in the path or in the
message. `NAMED_IN_MESSAGES` runs on the gRPC routes of models:

    frame        00 | length      | message                        as the client sent it
    becomes      00 | length + n  | message | 0A | size | name     in protobuf the last value of a field counts

Frames are handled as they pass: nothing is held back, so streams stay in step and bodies may be of any size.
"""

from modelyard.proxy.envoy.scopes import INTERNAL_MODEL_HEADER

# The scope of requests that are about the server and not about a model. No model is called so.
SERVER_SCOPE = "*server*"
NAME_METADATA = "model"  # of a route: the name to append

NAMED_OTHERWISE = f"""
-- The last value of field 1 of a protobuf message (strings only), or nil. Fields 1 of all requests about a model name it.
local function first_field(message)
  local at, found = 1, nil
  local function varint()
    local value, scale = 0, 1
    while true do
      local byte = message:byte(at)
      if not byte then return nil end
      at = at + 1
      value = value + (byte % 128) * scale
      if byte < 128 then return value end
      scale = scale * 128
    end
  end
  while at <= #message do
    local key = varint()
    if not key then return found end
    local field, wire = math.floor(key / 8), key % 8
    if wire == 0 then
      if not varint() then return found end
    elseif wire == 1 then at = at + 8
    elseif wire == 5 then at = at + 4
    elseif wire == 2 then
      local size = varint()
      if not size then return found end
      if field == 1 then found = message:sub(at, at + size - 1) end
      at = at + size
    else return found end
  end
  return found
end

local function named_in_message(handle, path)
  if path:match("/ModelStreamInfer$") then
    handle:respond({{[":status"] = "404"}}, "a stream names its model by the header {INTERNAL_MODEL_HEADER}")
    return nil
  end
  local body = handle:body()
  local frame = body and body:getBytes(0, body:length()) or ""
  if #frame < 5 or frame:byte(1) ~= 0 then
    handle:respond({{[":status"] = "404"}}, "the message names no model: send one that is not compressed, or the header {INTERNAL_MODEL_HEADER}")
    return nil
  end
  return first_field(frame:sub(6)) or ""
end

function envoy_on_request(handle)
  local headers = handle:headers()
  if headers:get("{INTERNAL_MODEL_HEADER}") then return end
  local path = headers:get(":path") or ""
  local model = path:match("^/v2/models/([^/?]+)")
  if not model and path:match("^/inference%.GRPCInferenceService/Model") then
    model = named_in_message(handle, path)
    if not model then return end
  end
  -- Asked for anew: what was held when the body was waited for may not be used any more.
  handle:headers():add("{INTERNAL_MODEL_HEADER}", model or "{SERVER_SCOPE}")
end
"""  # noqa: E501  # a sentence to a client is one line

NAMED_IN_MESSAGES = f"""
function envoy_on_request(handle)
  local headers = handle:headers()
  local encoding = headers:get("grpc-encoding")
  if encoding and encoding ~= "identity" then
    handle:respond({{[":status"] = "404", ["grpc-accept-encoding"] = "identity"}}, "messages compressed by " .. encoding .. " are not understood here: send them as they are")
    return
  end
  headers:remove("content-length")
  local name = handle:metadata():get("{NAME_METADATA}")
  local field = "\\10" .. string.char(#name) .. name
  local head, left = "", 0  -- the bytes seen of a frame's first five; the bytes to come of its message
  for chunk in handle:bodyChunks() do
    local length = chunk:length()
    if left > length then
      left = left - length
    elseif length > 0 then
      local bytes, at, out = chunk:getBytes(0, length), 1, {{}}
      while at <= length do
        if left > 0 then
          local piece = bytes:sub(at, at + left - 1)
          at, left = at + #piece, left - #piece
          out[#out + 1] = piece
          if left == 0 then out[#out + 1] = field end
        else
          local piece = bytes:sub(at, at + 4 - #head)
          at, head = at + #piece, head .. piece
          if #head == 5 then
            local flag, a, b, c, d = head:byte(1, 5)
            left = ((a * 256 + b) * 256 + c) * 256 + d
            local size = math.min(left + #field, 4294967295)
            out[#out + 1] = string.char(flag, math.floor(size / 16777216), math.floor(size / 65536) % 256,
                                        math.floor(size / 256) % 256, size % 256)
            if left == 0 then out[#out + 1] = field end
            head = ""
          end
        end
      end
      chunk:setBytes(table.concat(out))
    end
  end
end
"""  # noqa: E501
