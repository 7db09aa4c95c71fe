// One message from one rank to another, of any size.
#pragma once

#include "transport/engine.h"
#include "transport/stream.h"

namespace railyard {

void send(Engine& engine, const void* data, size_t bytes, int destination);
void receive(Engine& engine, void* data, size_t bytes, int source);

}  // namespace railyard
